"""The training loop: it resumes exactly, and stops at a loss that is not finite."""

import dataclasses
import logging
import math
import os
import re
import shutil
import signal
from contextlib import nullcontext

import event_files
import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import ComputeConfig, Config
from a2d_tf.data import clip_records
from a2d_tf.data.batches import pipeline
from a2d_tf.model.heads import LOSS_TERMS
from a2d_tf.model.network import Network
from a2d_tf.training import fit as fit_module
from a2d_tf.training.fit import ValidationOutcome, fit
from a2d_tf.training.step.train_step import make_train_step

pytestmark = pytest.mark.slow

LEARNING = dataclasses.replace(
    tiny_network.LEARNING,
    steps=6,
    learning_rate=0.02,
    warmup_steps=2,
    schedule="cosine",
    val_fraction=0.6,
    checkpoint_every=3,
    log_every=2,
    validate_every=100,
)


ONE_STREAM = dict(use_flow=False, temporal_layers=0)
"""The loop is the same for every network."""


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    devices.prepare()
    tf.config.run_functions_eagerly(True)  # a few steps cost less than a trace
    yield
    tf.config.run_functions_eagerly(False)


class Killed(BaseException):
    pass


def train(
    records,
    workdir,
    kill=None,
    stop=None,
    precision="float32",
    model=ONE_STREAM,
    at_step=lambda network: None,
    **training,
):
    """Train in the folder; returns the weights and every step's values.

    A kill or a signal comes at the end of that step.
    """
    config = Config(
        tiny_network.config(**model),
        compute=ComputeConfig(precision),
        training=dataclasses.replace(LEARNING, **training),
    )
    tf.keras.utils.set_random_seed(config.training.seed)
    network = Network(config.model, A2D, config.compute)
    log, calls = [], []

    def watched(*arguments):
        train_step = make_train_step(*arguments)

        def step(batch, number):
            at_step(network)
            log.append(train_step(batch, number))
            if len(log) == kill:
                raise Killed
            if len(log) == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return log[-1]

        return step

    def validate():
        calls.append(True)
        pictures = {"clip": tf.zeros([1, 4, 4, 3], tf.uint8)}
        return ValidationOutcome(
            scalars={"segmentation/joint_miou": 12.5},
            images=pictures,
            score=12.5,
            threshold=0.3,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "make_train_step", watched)
        ends = (
            pytest.raises((Killed, KeyboardInterrupt))
            if kill or stop
            else nullcontext()
        )
        with ends:
            fit(network, records, config, str(workdir), validate=validate)
    assert calls == [] if kill or stop else [True]
    weights = [variable.numpy() for variable in network.variables]
    return weights, [
        {name: float(value) for name, value in values.items()} for values in log
    ]


@pytest.fixture(scope="module")
def undisturbed(mini_records, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    return *train(mini_records, workdir), workdir


def scalars_of(workdir, writer):
    """The points of a writer of TensorBoard, by (step, tag); it has one file."""
    folder = workdir / "tensorboard" / writer
    assert len(list(folder.iterdir())) == 1
    points = {}
    for step, tag, tensor in event_files.values(folder):
        points[step, tag] = tf.make_ndarray(tensor)
    return points


def test_a_run_leaves_its_checkpoints(undisturbed):
    _, _, workdir = undisturbed
    names = {path.name for path in (workdir / "checkpoints").glob("*.index")}
    assert names == {"ckpt-3.index", "ckpt-6.index"}


def test_a_run_leaves_the_means_of_its_loss_terms(undisturbed):
    _, log, workdir = undisturbed
    points = scalars_of(workdir, "train")
    assert {step for step, _ in points} == {2, 4, 6}
    of_a_run = "learning_rate gradient_norm clips_per_second step_ms wait_ms positives"
    tags = {f"loss/{name}" for name in (*LOSS_TERMS, "total")}
    tags |= {f"run/{name}" for name in (*of_a_run.split(), "proposal_recall")}
    assert {tag for _, tag in points} == tags
    mean = (log[2]["mask"] + log[3]["mask"]) / 2
    assert points[4, "loss/mask"] == pytest.approx(mean, rel=1e-5)
    assert (4, "loss/total") in points and (4, "run/gradient_norm") in points


def test_a_run_leaves_the_scores_and_pictures_of_its_validation(undisturbed):
    _, _, workdir = undisturbed
    points = scalars_of(workdir, "validation")
    assert {step for step, _ in points} == {6}
    assert points[6, "segmentation/joint_miou"] == 12.5 and (6, "clip") in points


def test_a_killed_or_stopped_run_ends_as_an_undisturbed_one_and_no_point_comes_twice(
    mini_records, undisturbed, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    weights, log, whole = undisturbed
    # past the points of steps 2 and 4
    _, before = train(mini_records, tmp_path, kill=5)
    assert before == log[:5]  # the same seed gives the same run
    _, between = train(mini_records, tmp_path, stop=2)
    assert "resuming at step 3 of 6" in caplog.text
    assert "stopped at step 5" in caplog.text
    other, after = train(mini_records, tmp_path)
    assert between == log[3:5] and after == log[5:]
    points = [
        event_files.points(run / "tensorboard" / "train") for run in (tmp_path, whole)
    ]
    assert points[0] == points[1] and len(points[1]) >= 3 * 10
    for a, b in zip(weights, other):
        np.testing.assert_array_equal(a, b)


def test_folders_that_are_replaced_meanwhile_end_the_run(mini_records, tmp_path):
    workdir = tmp_path / "run"
    with pytest.raises(InputError, match="records: other records than when this began"):
        train(dataclasses.replace(mini_records, source="of then"), workdir)
    assert not list(workdir.glob("checkpoints/*"))
    with pytest.raises(InputError, match="checkpoints: deleted or replaced"):
        train(
            mini_records,
            workdir,
            at_step=lambda _: shutil.rmtree(workdir, ignore_errors=True),
        )
    assert not workdir.exists()


def test_a_non_finite_loss_ends_the_run_before_its_weights_are_kept(
    mini_records, tmp_path, monkeypatch
):
    """A clip with non-finite flow is named; the weights stay as before its step."""
    parse = clip_records.parse
    model = dict(use_flow=True, temporal_layers=0)
    config = Config(tiny_network.config(**model), training=LEARNING)
    clips = pipeline.training(mini_records, config).take(20)
    videos = {video.decode() for batch in clips for video in batch["video"].numpy()}
    culprit = sorted(videos)[1]

    def spoilt(serialized, frames):
        example = parse(serialized, frames)
        flow = tf.where(
            example["video"] == culprit, example["flow"] * math.nan, example["flow"]
        )
        return dict(example, flow=flow)

    monkeypatch.setattr(clip_records, "parse", spoilt)
    before = []
    settings = dict(model=model, log_every=6, checkpoint_every=6)
    with pytest.raises(InputError) as raised:
        train(
            mini_records,
            tmp_path,
            at_step=lambda network: before.append(
                [v.numpy() for v in network.variables]
            ),
            **settings,
        )
    text = str(raised.value)
    assert f"'action_cls' is nan, from {culprit}/" in text and "objectness" not in text
    step = int(re.match(r"step (\d+):", text)[1])
    # It was read after six steps, of which those after the culprit's changed nothing.
    assert step < len(before) == 6
    for frozen, value in zip(before[-1], before[step - 1]):
        np.testing.assert_array_equal(frozen, value)
    assert not list(tmp_path.glob("checkpoints/*"))
