"""Scores are a run's until its weights, its settings or the records change."""

import dataclasses
import json
import pathlib
import shutil

import pytest
from tiny_network import manifest

from a2d_tf.core.settings.config import Config
from a2d_tf.runs import scores

SOURCE = manifest().source


@pytest.fixture
def run(tiny_run, loaded_run, tmp_path):
    """A copy of `tiny_run` that is trained to its end, with its scores."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "finished.json").write_text('{"steps": 7}')
    folder = run / "evaluation" / "test"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    known = scores.origin(loaded_run.checkpoint, loaded_run.config, SOURCE)
    (folder / scores.ORIGIN).write_text(json.dumps(known))
    return run


def are_current(run, records=SOURCE):
    return scores.are_current(run, run / "evaluation" / "test", records)


def train_on(run):
    for path in (run / "checkpoints").glob("ckpt-7.*"):
        shutil.copy(path, str(path).replace("ckpt-7", "ckpt-10"))
    with open(run / "checkpoints" / "ckpt-10.index", "ab") as index:
        index.write(b"other")


def threshold(run):
    (run / "score_threshold.json").write_text('{"score_threshold": 0.4}')


def settings(run):
    config = Config.read(run / "flags.txt")
    config.with_settings(max_detections=3).write(run / "flags.txt")


def model(run):
    config = Config.read(run / "flags.txt")
    changed = dataclasses.replace(config.model, flow_scale=9.0)
    dataclasses.replace(config, model=changed).write(run / "flags.txt")


def begin_anew(run):
    shutil.rmtree(run / "checkpoints")
    (run / "finished.json").unlink()


@pytest.mark.parametrize("change", [train_on, threshold, settings, model, begin_anew])
def test_scores_of_what_has_changed(run, change):
    assert are_current(run) and not are_current(run, "other records")
    change(run)
    assert not are_current(run)


def test_scores_outlive_weights_that_were_deleted_and_a_copy_of_the_folder(
    run, tmp_path
):
    shutil.rmtree(run / "checkpoints")
    assert are_current(pathlib.Path(shutil.copytree(run, tmp_path / "copy")))
    (run / "evaluation" / "test" / "metrics.json").unlink()
    assert not are_current(run)
