"""A run's checkpoints are whole: the old one stays until the new one is there."""

import gc
import json
import logging
import resource
import signal

import pytest
import tensorflow as tf
from processes import complaint, run_a2d

from a2d_tf.core.errors import InputError
from a2d_tf.runs import checkpoints, run_folder
from a2d_tf.serving import export_folder
from a2d_tf.training.checkpointer import Checkpointer
from a2d_tf.training.step.averages import Averages
from a2d_tf.training.step.train_step import TrainState


class Toy(tf.Module):
    """A network of one weight."""

    def __init__(self, size=3):
        super().__init__()
        self.weight = tf.Variable(tf.zeros([size]))


def checkpointer(workdir, averages=False, size=3):
    network = Toy(size)
    means = Averages([network.weight], 0.5) if averages else None
    state = TrainState(network, tf.Module(), averages=means)
    return Checkpointer(str(workdir), state), network, state.step, means


def save(made, network, step, number):
    step.assign(number)
    network.weight.assign([float(number)] * 3)
    made.save()


def read(network, folder):
    """Read the newest checkpoint; return its path."""
    path = checkpoints.newest(str(folder))
    checkpoints.load(path, {"network": network})
    return path


def names(folder):
    return sorted(path.stem for path in folder.glob("*.index"))


def test_the_newest_stay_beside_files_of_others(tmp_path):
    made, network, step, _ = checkpointer(tmp_path)
    for number in (2, 4, 6, 7):
        save(made, network, step, number)
    folder = tmp_path / "checkpoints"
    (folder / "ckpt-99.index").write_bytes(b"damaged")
    (folder / "ckpt-good.index").write_bytes(b"a user's copy")
    save(made, network, step, 8)
    assert names(folder) == ["ckpt-6", "ckpt-7", "ckpt-8", "ckpt-99", "ckpt-good"]
    assert tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-8")


def test_the_newest_is_taken_up_with_the_values_of_its_window(tmp_path):
    made, network, step, _ = checkpointer(tmp_path)
    assert made.resume() is False
    save(made, network, step, 7)
    made.step_values.values = [{"total": 0.1 + 0.2}]
    save(made, network, step, 8)
    other, network, step, _ = checkpointer(tmp_path)
    assert other.resume() is True
    assert int(step) == 8 and network.weight.numpy().tolist() == [8, 8, 8]
    assert other.step_values.values == [{"total": 0.1 + 0.2}]


def test_a_run_is_finished_if_its_last_checkpoint_says_so(tmp_path):
    made, network, step, _ = checkpointer(tmp_path)
    save(made, network, step, 8)
    assert not run_folder.is_finished(str(tmp_path), 8)
    made.mark_finished()
    assert run_folder.is_finished(str(tmp_path), 8)
    # Its last checkpoint was lost, or it has gone on.
    assert not run_folder.is_finished(str(tmp_path), 10)
    (tmp_path / "finished.json").write_text('{"steps"')
    with pytest.raises(InputError, match="finished.json: .*; delete it"):
        run_folder.is_finished(str(tmp_path), 8)


@pytest.mark.parametrize(
    "suffix, damage",
    [
        ("data-00000-of-00001", lambda data: data[:-1]),
        ("data-00000-of-00001", lambda data: bytes([data[0] ^ 1]) + data[1:]),
        ("data-00000-of-00001", None),
        ("index", lambda data: data[: len(data) // 2]),
    ],
)
def test_a_damaged_newest_is_left_aside_with_a_warning(
    suffix, damage, tmp_path, caplog
):
    made, network, step, _ = checkpointer(tmp_path)
    for number in (2, 4):
        save(made, network, step, number)
    folder = tmp_path / "checkpoints"
    path = folder / f"ckpt-4.{suffix}"
    if damage:
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    (folder / "ckpt-6.data-00000-of-00001.tempstate123").write_bytes(b"part")
    (folder / "ckpt-6_temp").mkdir()
    (folder / "ckpt-6_temp" / "part-00000-of-00001.index").write_bytes(b"part")
    other, network, step, _ = checkpointer(tmp_path)
    assert other.resume() and int(step) == 2
    assert "ckpt-4: corrupt, skipped" in caplog.text
    assert not list(folder.glob("*temp*"))
    # It goes on, and writes over the damaged one.
    save(other, network, step, 4)
    assert checkpoints.newest(str(folder)).endswith("ckpt-4")
    path = folder / "ckpt-2.index"
    path.write_bytes(b"")
    (folder / "ckpt-4.index").write_bytes(b"")
    with pytest.raises(
        InputError, match="ckpt-2: corrupt .* like all other checkpoints"
    ):
        other.resume()


def test_a_full_disk_leaves_the_old_one(tmp_path):
    """Files that may grow no larger than what is to be saved stand for the disk."""
    made, network, step, _ = checkpointer(tmp_path)
    save(made, network, step, 2)
    step.assign(4)
    made.step_values.values = [{"x" * 100000: 1.0}]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, hard))
    try:
        with pytest.raises(
            InputError, match="checkpoints: step 4 could not be saved.*free disk space"
        ):
            made.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert names(tmp_path / "checkpoints") == ["ckpt-2"]
    # nor takes room any longer
    assert not list((tmp_path / "checkpoints").glob("*temp*"))
    other, network, step, _ = checkpointer(tmp_path)
    assert other.resume() and int(step) == 2


def test_the_best_is_kept_apart(tmp_path):
    made, network, step, _ = checkpointer(tmp_path)
    kept = []
    for number, score in ((2, 10.0), (4, 30.0), (6, 20.0), (8, 30.0)):
        save(made, network, step, number)
        kept.append(made.save_best(score, 0.1 * number))
    assert kept == [True, True, False, False]
    best = json.loads((tmp_path / "best" / "validation.json").read_text())
    assert best == {"step": 4, "score": 30.0, "score_threshold": 0.4}
    other = Toy()
    assert read(other, tmp_path / "best").endswith("best/ckpt-4")
    assert other.weight.numpy().tolist() == [4, 4, 4]
    # A run that goes back to step 2, and finds less than before.
    for number, score in ((2, 10.0), (3, 20.0), (4, 20.0)):
        save(made, network, step, number)
        made.save_best(score, 0.1 * number)
    assert read(other, tmp_path / "best").endswith("best/ckpt-3")
    # It repeats what it was killed in, with the same end.
    for number, score in ((2, 10.0), (4, 30.0), (6, 20.0)):
        save(made, network, step, number)
        made.save_best(score, 0.1 * number)
    assert json.loads((tmp_path / "best" / "validation.json").read_text()) == best
    (tmp_path / "best" / "validation.json").write_text('{"step": 4, "sco')
    with pytest.raises(InputError, match="best/validation.json: .*; delete it"):
        made.save_best(50.0, 0.1)


def test_averages_are_what_a_reader_gets_and_a_run_goes_on_with_its_own(tmp_path):
    made, network, step, means = checkpointer(tmp_path, averages=True)
    network.weight.assign([2.0, 2, 2])
    means.update(tf.constant(100, tf.int64))
    made.save()
    assert network.weight.numpy().tolist() == [2, 2, 2]
    reader = Toy()
    read(reader, tmp_path / "checkpoints")
    assert reader.weight.numpy().tolist() == [1, 1, 1]
    other, network, step, means = checkpointer(tmp_path, averages=True)
    assert other.resume()
    assert network.weight.numpy().tolist() == [2, 2, 2]
    assert means.values[0].numpy().tolist() == [1, 1, 1]


def test_a_checkpoint_of_another_network_is_refused(tmp_path, caplog, monkeypatch):
    """In one error, without a warning for each variable after it."""
    monkeypatch.setattr(tf.get_logger(), "handlers", [caplog.handler])
    tf.get_logger().setLevel(logging.WARNING)
    made, network, step, _ = checkpointer(tmp_path)
    save(made, network, step, 2)
    other, *_ = checkpointer(tmp_path, size=4)
    with pytest.raises(InputError, match="a checkpoint of another network"):
        other.resume()
    with pytest.raises(InputError, match="a checkpoint of another network"):
        read(Toy(4), tmp_path / "checkpoints")
    gc.collect()
    assert not caplog.records
    assert tf.get_logger().level == logging.WARNING


@pytest.mark.parametrize("name", ["runs[1]", "a\\b"])
def test_a_path_that_tensorflow_takes_for_a_pattern_is_no_damage(tmp_path, name):
    """TensorFlow writes there, but finds nothing when it reads."""
    made, network, step, _ = checkpointer(tmp_path / name)
    save(made, network, step, 7)
    with pytest.raises(InputError, match="cannot read weights .* rename the folder"):
        checkpoints.newest(str(tmp_path / name / "checkpoints"))
    with pytest.raises(InputError, match="rename the folder"):
        export_folder.load(str(tmp_path / name))
    words = (f"--workdir={tmp_path / name}", "--records=none")
    assert "rename the folder" in complaint(run_a2d("train", *words))
