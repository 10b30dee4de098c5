"""The training loop: it resumes exactly, and stops at a loss that is not finite."""

import dataclasses
import logging
import math
import os
import re
import shutil
import signal
import types

import event_files
import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from processes import run_tool
from tensorflow.python.framework import ops

from a2d_tf.core import devices
from a2d_tf.core.config import ComputeConfig, Config, LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.data import pipeline
from a2d_tf.data import records as record_format
from a2d_tf.evaluation.reports import dashboard
from a2d_tf.model.network import Network
from a2d_tf.training import divergence, losses, optimizer, run_folder, train_step
from a2d_tf.training import fit as fit_module
from a2d_tf.training.fit import Validated, fit

pytestmark = pytest.mark.slow

LEARNING = LearningConfig(
    batch_size=2,
    steps=6,
    learning_rate=0.02,
    warmup_steps=2,
    schedule="cosine",
    roi_samples=16,
    train_proposals=30,
    rpn_samples=32,
    max_instances=4,
    val_fraction=0.6,
    checkpoint_every=3,
    log_every=2,
    validate_every=100,
)


ONE_STREAM = dict(use_flow=False, temporal_layers=0)
"""The loop is the same for every network, and this one is traced in a few seconds."""


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    devices.prepare()


class Killed(BaseException):
    pass


def train(
    records,
    workdir,
    kill_after=None,
    stop_after=None,
    steps=6,
    precision="float32",
    model=ONE_STREAM,
    at_call=lambda: None,
    **learning,
):
    """Train in the folder; returns the network and every step's values.

    A kill or a signal comes at the end of a call that ends with that step or after it.
    """
    config = Config(
        tiny_network.config(**model),
        compute=ComputeConfig(precision),
        learning=dataclasses.replace(LEARNING, steps=steps, **learning),
    )
    tf.keras.utils.set_random_seed(config.learning.seed)
    network = Network(config.model, A2D, config.compute)
    log, calls = [], []

    def watched(*arguments):
        train_steps = train_step.make_train_steps(*arguments)

        def steps(stream, step, count):
            at_call()
            values, waited = train_steps(stream, step, count)
            log.extend({name: value[i] for name, value in values.items()} for i in range(count))
            if kill_after and step + count >= kill_after:
                raise Killed
            if stop_after and step + count >= stop_after:
                os.kill(os.getpid(), signal.SIGTERM)
            return values, waited

        return steps

    def validate():
        calls.append(True)
        pictures = {"clip": tf.zeros([1, 4, 4, 3], tf.uint8)}
        return Validated(
            {"segmentation/joint_miou": 12.5}, pictures, joint_miou=12.5, threshold=0.3
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "make_train_steps", watched)
        if kill_after or stop_after:
            with pytest.raises((Killed, KeyboardInterrupt)):
                fit(network, records, config, str(workdir), validate=validate)
        else:
            fit(network, records, config, str(workdir), validate=validate)
            assert calls == [True]
    return network, [{name: float(value) for name, value in values.items()} for values in log]


@pytest.fixture(scope="module")
def undisturbed(mini_records, tmp_path_factory):
    workdir, count, counts = tmp_path_factory.mktemp("run"), [], []
    fetch = ops.EagerTensor._numpy
    with pytest.MonkeyPatch.context() as patch:
        watched = lambda tensor: count.append(True) or fetch(tensor)  # noqa: E731
        patch.setattr(ops._EagerTensorBase, "_numpy", watched)
        network, log = train(mini_records, workdir, at_call=lambda: counts.append(len(count)))
    return network, log, workdir, counts


def test_every_step_has_its_five_finite_terms(undisturbed):
    _, log, _, _ = undisturbed
    assert len(log) == 6
    for values in log:
        assert set(values) == {
            *losses.TERMS,
            "total",
            "gradient_norm",
            "proposal_recall",
            "positives",
        }
        assert all(math.isfinite(value) for value in values.values())
        total = sum(values[name] for name in losses.TERMS)
        assert values["total"] == pytest.approx(total, rel=1e-5)
        assert values["positives"] >= 1 and 0 <= values["proposal_recall"] <= 1


def test_what_a_run_leaves(undisturbed):
    _, log, workdir, _ = undisturbed
    names = {path.name for path in (workdir / "checkpoints").glob("*.index")}
    assert names == {"ckpt-3.index", "ckpt-6.index"}

    def scalars(writer):
        folder = workdir / "tensorboard" / writer
        assert len(list(folder.iterdir())) == 1
        return {(step, tag): tf.make_ndarray(x) for step, tag, x in event_files.values(folder)}

    train_events, validation = scalars("train"), scalars("validation")
    assert {step for step, _ in train_events} == {2, 4, 6}
    tags = {tag for _, tag in train_events}
    charts = [tag for panels in dashboard._LAYOUT.values() for tag in panels.values()]
    charts = [tag for tag in charts if tag.startswith(("run/", "loss/"))]
    for tag in charts:
        assert any(re.fullmatch(tag, written) for written in tags), tag
    of_clips = {"run/positives"}  # which no chart shows
    assert all(any(re.fullmatch(tag, written) for tag in charts) for written in tags - of_clips)
    mean = (log[2]["mask"] + log[3]["mask"]) / 2
    assert train_events[4, "loss/mask"] == pytest.approx(mean, rel=1e-5)
    assert (4, "loss/total") in train_events and (4, "run/gradient_norm") in train_events
    assert {step for step, _ in validation} == {6}
    assert validation[6, "segmentation/joint_miou"] == 12.5 and (6, "clip") in validation


def test_a_killed_or_stopped_run_ends_as_an_undisturbed_one_and_no_point_comes_twice(
    mini_records, undisturbed, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    network, log, whole, _ = undisturbed
    _, before = train(mini_records, tmp_path, kill_after=5)  # past the points of steps 2 and 4
    assert before == log[:5]  # the same seed gives the same run
    _, between = train(mini_records, tmp_path, stop_after=5)
    assert "resuming at step 3 of 6" in caplog.text
    assert "stopped at step 5, which is kept" in caplog.text
    other, after = train(mini_records, tmp_path)
    assert between == log[3:5] and after == log[5:]
    points = [event_files.points(run / "tensorboard" / "train") for run in (tmp_path, whole)]
    assert points[0] == points[1] and len(points[1]) >= 3 * 10
    for a, b in zip(network.variables, other.variables):
        assert (a.numpy() == b.numpy()).all(), a.name


def test_another_precision_goes_on_and_float16_resumes_its_loss_scale(
    mini_records, undisturbed, tmp_path
):
    _, _, done, _ = undisturbed
    half = {"precision": "mixed_float16", "steps": 9, "checkpoint_every": 1}
    for name in ("whole", "killed"):
        shutil.copytree(done, tmp_path / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizer.LossScale.__init__, "__defaults__", (2.0**60, 1))
        network, log = train(mini_records, tmp_path / "whole", **half)
        _, before = train(mini_records, tmp_path / "killed", kill_after=8, **half)
        other, after = train(mini_records, tmp_path / "killed", **half)
    assert len(log) == 3 and before == log[:2] and after == log[1:]
    assert log[0]["loss_scale"] == 2.0**60 and log[0]["gradient_norm"] == 0
    assert log[1]["loss_scale"] == after[0]["loss_scale"] == 2.0**24
    for a, b in zip(network.variables, other.variables):
        assert (a.numpy() == b.numpy()).all(), a.name
    _, log = train(mini_records, tmp_path / "whole", steps=10)
    assert len(log) == 1 and "loss_scale" not in log[0]


def tensors(path):
    """{name: array} of a checkpoint."""
    reader = tf.train.load_checkpoint(str(path))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name: reader.get_tensor(name) for name in names}


def test_several_steps_a_call_end_as_one_by_one(mini_records, undisturbed, tmp_path, monkeypatch):
    """Calls of 2, 1, 1 and 2 steps, traced once: same weights, slots, averages and points."""
    _, log, whole, _ = undisturbed
    real, traces, calls = train_step._step, [], []
    monkeypatch.setattr(train_step, "_step", lambda *a: traces.append(True) or real(*a))
    until_due = fit_module._until_due
    monkeypatch.setattr(
        fit_module, "_until_due", lambda *a: calls.append(until_due(*a)) or calls[-1]
    )
    _, several = train(mini_records, tmp_path, steps_per_call=4)
    assert calls == [2, 1, 1, 2] and len(traces) == 1
    # To the bit, but for rare trainings on a busy machine, in which a step rounds otherwise.
    assert several == [pytest.approx(values, rel=1e-5) for values in log]
    points = [event_files.points(run / "tensorboard" / "train") for run in (tmp_path, whole)]
    assert points[0] == pytest.approx(points[1], rel=1e-5) and len(points[1]) >= 3 * 10
    for step in (3, 6):
        one, other = (tensors(run / "checkpoints" / f"ckpt-{step}") for run in (whole, tmp_path))
        assert one.keys() == other.keys()
        assert {name.split("/")[0] for name in one} >= {"averages", "optimizer", "window"}
        for name, value in one.items():
            if name.startswith("window"):  # JSON of the values above
                continue
            np.testing.assert_allclose(value, other[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_a_call_ends_where_something_is_due():
    learning = dataclasses.replace(
        LEARNING, steps=103, log_every=20, checkpoint_every=50, validate_every=30, steps_per_call=8
    )
    ends, step = [], 0
    while step < learning.steps:
        step += fit_module._until_due(step, learning)
        ends.append(step)
    assert ends == [8, 16, 20, 28, 30, 38, 40, 48, 50, 58, 60, 68, 76, 80, 88, 90, 98, 100, 103]


def test_nothing_is_fetched_before_it_is_due(undisturbed):
    """After the first call, which traces; points are due after 2 and 4, a checkpoint after 3."""
    _, _, _, counts = undisturbed
    assert [b > a for a, b in zip(counts[1:], counts[2:])] == [True, True, True, False]


@pytest.mark.parametrize("name, value", [("mask", math.nan), ("total", math.inf)])
def test_a_loss_that_is_not_finite_is_named(name, value):
    with pytest.raises(InputError, match=f"step 7: the loss term '{name}' is {value}"):
        divergence.check_finite({"roi_cls": 1e30, name: value}, 7)


def test_such_a_loss_ends_the_run_before_its_weights_are_kept(mini_records, tmp_path, monkeypatch):
    """A clip whose flow is no number: named, kept with the weights before it, and played again."""
    parse, calls = record_format.parse, []

    def spoilt(serialized, frames):
        example = parse(serialized, frames)
        bad = example["video"] == mini_records_videos[1]
        calls.append(True)
        flow = tf.where(bad, example["flow"] * math.nan, example["flow"])
        return dict(example, flow=flow)

    model = dict(use_flow=True, temporal_layers=0)
    config = Config(tiny_network.config(**model), learning=LEARNING)
    mini_records_videos = sorted(
        {
            v.decode()
            for b in pipeline.training(mini_records, config).take(20)
            for v in b["video"].numpy()
        }
    )
    assert len(mini_records_videos) >= 2
    monkeypatch.setattr(record_format, "parse", spoilt)
    late = dict(steps=50, log_every=50, steps_per_call=3)
    with pytest.raises(divergence.Diverged) as raised:
        train(mini_records, tmp_path, checkpoint_every=50, model=model, **late)
    text = str(raised.value)
    assert f"'action_cls' is nan, from {mini_records_videos[1]}/" in text and "roi_cls" not in text
    assert f"tools/replay_batch.py --workdir={tmp_path}" in text and calls
    step = int(re.match(r"step (\d+):", text)[1])
    batch, kept = divergence.load(str(tmp_path))
    assert kept == step - 1 and len(divergence.names(batch)) == LEARNING.batch_size
    # It was read after fifty steps; kept are the weights before that step, as at its checkpoint.
    diverged = tensors(tmp_path / "diverged" / f"ckpt-{step - 1}")
    assert all(np.isfinite(x).all() for x in diverged.values() if x.dtype == np.float32)
    late.update(checkpoint_every=1, average_decay=0)
    train(mini_records, tmp_path / "again", kill_after=step, model=model, **late)
    before = tensors(tmp_path / "again" / "checkpoints" / f"ckpt-{step - 1}") if step > 1 else {}
    for name in set(diverged) & set(before):
        assert "network" not in name or np.array_equal(before[name], diverged[name]), name
    assert step == 1 or sum(name.startswith("network") for name in before) > 50

    config = Config(tiny_network.config(**model), learning=LEARNING)
    facts = types.SimpleNamespace(
        label_space=A2D, flow_method="dis", image_height=64, image_width=96, clip_stride=1
    )
    run_folder.create(tmp_path, config, facts)
    done = run_tool("replay_batch", f"--workdir={tmp_path}")
    assert done.returncode == 0, done.stderr
    own = [x for x in done.stdout.splitlines() if x.startswith(f"{mini_records_videos[1]}/")]
    assert "*nan" in own[0] and "its flow holds what is no number" in done.stdout
    path = tmp_path / "diverged" / divergence.BATCH
    with np.load(path) as kept:
        parts = dict(kept)
    for name, value in (("rgb", None), ("video", np.arange(2)), ("flow", parts["flow"][:1])):
        spoilt = {**parts, name: value}
        np.savez(path, **{name: value for name, value in spoilt.items() if value is not None})
        with pytest.raises(InputError, match=f"batch.npz: damaged .*{name}"):
            divergence.load(str(tmp_path))


def test_a_replay_finds_the_first_operation_that_gives_no_number(tool):
    replay_batch = tool("a2d_tf.commands.replay_batch")

    @tf.function
    def probe(clip, step):
        with tf.name_scope("losses"):
            return tf.math.log(clip["x"], name="bad") + tf.math.exp(clip["x"], name="good")

    step = tf.constant(0, tf.int64)
    assert replay_batch.first_failure(probe, {"x": tf.constant([-1.0])}, step) == "losses/bad"
    assert replay_batch.first_failure(probe, {"x": tf.constant([2.0])}, step) == ""


def test_a_finished_run_without_its_last_checkpoint_goes_on():
    """Not by the number of steps that it was to have, but by those that are there."""
    learning = LearningConfig(steps=3000, validate_every=3000)
    events = types.SimpleNamespace(trim=lambda *_: None)
    for step, expected in ((2000, 2000), (3000, None)):
        keeper = types.SimpleNamespace(
            workdir="run",
            step=step,
            resume=lambda: True,
            is_finished=lambda step=step: step == 3000,
        )
        assert fit_module._resume(keeper, events, None, learning) == expected
