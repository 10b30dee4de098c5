"""Event files: a resumed run drops the points of steps that come again, and no more."""

import event_files
import pytest
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.training.events import Events


def read(folder):
    """[(step, tag)] of all files of a writer."""
    return sorted((step, tag) for step, tag, _ in event_files.values(folder))


def test_later_steps_are_dropped_and_said_again(tmp_path):
    tmp_path = tmp_path / "lr[1e-3]"  # which is a glob
    log = Events(tmp_path)
    for step in (0, 2, 4, 6):
        log.write("train", step, {"loss/total": 1.0 * step})
    log.write("validation", 4, {}, {"clip": tf.zeros([1, 2, 2, 3], tf.uint8)})
    again = Events(tmp_path)
    again.trim("train", 3)
    again.trim("validation", 4)
    again.trim("test", 0)
    again.write("train", 4, {"loss/total": 7.0})
    train = tmp_path / "tensorboard" / "train"
    assert read(train) == [(0, "loss/total"), (2, "loss/total"), (4, "loss/total")]
    assert read(tmp_path / "tensorboard" / "validation") == [(4, "clip")]
    assert all(path.name.startswith("events.out.tfevents.") for path in train.iterdir())


def test_a_file_that_was_cut_off_keeps_its_whole_records(tmp_path):
    log = Events(tmp_path)
    for step in (1, 2, 3):
        log.write("train", step, {"loss/total": 1.0 * step})
    (path,) = (tmp_path / "tensorboard" / "train").iterdir()
    whole = path.read_bytes()
    # The second claims more than all memory.
    for data in (whole[:-3], whole + (2**40).to_bytes(8, "little") + bytes(104)):
        path.write_bytes(data)
        Events(tmp_path).trim("train", 1)
        assert read(path.parent) == [(1, "loss/total")]


def test_points_that_cannot_be_written(tmp_path):
    (tmp_path / "tensorboard").write_text("in the way")
    with pytest.raises(InputError, match="tensorboard: step 1 could not be saved"):
        Events(tmp_path).write("train", 1, {"loss/total": 1.0})
