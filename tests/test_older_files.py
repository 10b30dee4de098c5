"""Runs, records and exports of an older version load as they were.

`made_before_background.tar.xz` holds records of two clips' videos, a run of two steps with its
evaluation, and its export, all by commit 98e27d7, in which background was no class of the action
head. (Weights and momentum are rounded to 16 bits, so that they pack well.)
"""

import dataclasses
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import tiny_network

from a2d_tf.core.config import Config, LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation.detection import Detections
from a2d_tf.evaluation.runner import Evaluator
from a2d_tf.model.network import Network
from a2d_tf.training import run_folder, run_start
from a2d_tf.training.keeper import Keeper
from a2d_tf.training.train_step import TrainState
from a2d_tf.video.predictor import Predictor

pytestmark = pytest.mark.slow

ARCHIVE = pathlib.Path(__file__).with_name("made_before_background.tar.xz")


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def run(older):
    return run_folder.load(str(older / "run"))


def test_a_run_is_evaluated_as_it_was(run, older, tmp_path):
    manifest = Manifest.load(str(older / "records"))
    run.check_records(manifest)
    assert run.network.model_config.action_background is False
    threshold = run.config.inference.score_threshold
    assert threshold == 0.05
    made = Evaluator(run.network, run.config, manifest).evaluate("test", threshold, tmp_path)
    before = older / "run" / "evaluation" / "test"
    ours, theirs = (Detections.load(folder / "detections.npz") for folder in (tmp_path, before))
    assert len(theirs.roi_frame) > 0
    for name in ("frames", "roi_frame"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    for name in ("boxes", "actor_scores", "action_scores"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-4)
    np.testing.assert_allclose(theirs.action_scores.sum(axis=1), 1, atol=1e-5)
    for kind, metrics in read_json(before / "metrics.json")["segmentation"].items():
        assert made["segmentation"][kind] == pytest.approx(metrics, abs=0.01), kind


def test_an_export_answers_as_its_run(run, older):
    served = Predictor.from_saved_model(str(older / "export"))
    ours = Predictor.from_run(run)
    clip = tiny_network.clip(1, 3, seed=3)
    found = []
    for predictor in (served, ours):
        frames = [predictor.frame(*pair) for pair in zip(clip["rgb"][0], clip["flow"][0])]
        found.append(predictor.key_frame(frames, tiny_network.CANVAS))
    assert len(found[0].boxes) > 0
    np.testing.assert_array_equal(found[1].codes, found[0].codes)
    for name in ("boxes", "scores", "actor_scores", "action_scores", "probabilities"):
        np.testing.assert_allclose(getattr(found[1], name), getattr(found[0], name), atol=1e-4)


def test_a_run_goes_on_by_the_command_that_it_was_started_with(older, tmp_path):
    folder = str(shutil.copytree(older / "run", tmp_path / "run"))
    flags = Config.read(tmp_path / "run" / "flags.txt", of_run=True)
    assert flags.learning.rpn_beta == 1 / 9
    # As the same flags are read today, before anything knows of the run; and a file of weights that
    # it was started from, and that is no longer there.
    learning = dataclasses.replace(flags.learning, rpn_beta=0.0, init_rgb="gone.h5")
    config = Config(dataclasses.replace(flags.model, action_background=True), learning=learning)
    settled = run_start.settle(config, {}, folder)
    assert settled.model == flags.model and settled.model.action_background is False
    assert settled.learning.rpn_beta == 1 / 9
    run_folder.create(folder, settled, Manifest.load(str(older / "records")))
    assert "--action_background=false\n" in (tmp_path / "run" / "flags.txt").read_text()
    labels = LabelSpace.from_json(tmp_path / "run" / "labels.json")
    network = Network(settled.model, labels)
    keeper = Keeper(folder, TrainState.create(network, settled.learning), 1)
    assert keeper.resume() and keeper.step == 2
    # One that starts from it is of its form, too; the other form must be asked for, and is refused.
    start = Config(config.model, learning=LearningConfig(init_run=folder))
    settled = run_start.settle(start, {})
    assert settled.model == flags.model and settled.learning.rpn_beta == 0
    with pytest.raises(InputError, match="--action_background=False, not True"):
        run_folder.create(
            folder,
            run_start.settle(config, {"action_background"}, folder),
            Manifest.load(str(older / "records")),
        )
