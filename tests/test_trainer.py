"""The training loop: it learns, it resumes exactly, it stops at what is no number."""

import dataclasses
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import types

import event_files
import numpy as np
import pytest
import tensorflow as tf
import tiny_network

from a2d_tf.core import devices
from a2d_tf.core.config import ComputeConfig, Config, LearningConfig
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.learning import divergence, fit, losses, optimizer
from a2d_tf.learning.runs import checkpoints, run_folder
from a2d_tf.model.network import Network

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
    **learning,
):
    """Train in the folder; returns the network and every step's values."""
    config = Config(
        tiny_network.config(**model),
        compute=ComputeConfig(precision),
        learning=dataclasses.replace(LEARNING, steps=steps, **learning),
    )
    tf.keras.utils.set_random_seed(config.learning.seed)
    network = Network(config.model, A2D, config.compute)
    log, calls = [], []
    check = fit.check_finite

    def watch(values, step):
        check(values, step)
        log.append(values)
        if step == kill_after:
            raise Killed
        if step == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    def evaluate():
        calls.append(True)
        scores = {"segmentation/joint_miou": 12.5, "segmentation/threshold": 0.3}
        return scores, {"clip": tf.zeros([1, 4, 4, 3], tf.uint8)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "check_finite", watch)
        if kill_after or stop_after:
            with pytest.raises((Killed, KeyboardInterrupt)):
                fit.train_and_evaluate(network, records, config, str(workdir), evaluate)
        else:
            fit.train_and_evaluate(network, records, config, str(workdir), evaluate)
            assert calls == [True]
    return network, log


@pytest.fixture(scope="module")
def undisturbed(mini_records, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    return (*train(mini_records, workdir), workdir)


def test_every_step_has_its_five_finite_terms(undisturbed):
    _, log, _ = undisturbed
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
    _, log, workdir = undisturbed
    names = {path.name for path in (workdir / "checkpoints").glob("*.index")}
    assert names == {"ckpt-3.index", "ckpt-6.index"}

    def scalars(writer):
        folder = workdir / "tensorboard" / writer
        assert len(list(folder.iterdir())) == 1
        return {(step, tag): tf.make_ndarray(x) for step, tag, x in event_files.values(folder)}

    train_events, validation = scalars("train"), scalars("validation")
    assert {step for step, _ in train_events} == {2, 4, 6}
    mean = (log[2]["mask"] + log[3]["mask"]) / 2
    assert train_events[4, "loss/mask"] == pytest.approx(mean, rel=1e-5)
    assert (4, "loss/total") in train_events and (4, "run/gradient_norm") in train_events
    assert {step for step, _ in validation} == {6}
    assert validation[6, "segmentation/joint_miou"] == 12.5 and (6, "clip") in validation


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(
    mini_records, undisturbed, tmp_path, capsys
):
    network, log, _ = undisturbed
    _, before = train(mini_records, tmp_path, kill_after=5)
    assert before == log[:5]  # the same seed gives the same run
    other, after = train(mini_records, tmp_path)
    assert "resuming at step 3 of 6" in capsys.readouterr().out
    assert after == log[3:]
    for a, b in zip(network.variables, other.variables):
        assert (a.numpy() == b.numpy()).all(), a.name


def test_a_signal_ends_the_run_after_the_step_in_hand_and_no_point_comes_twice(
    mini_records, undisturbed, tmp_path, capsys
):
    network, log, whole = undisturbed
    _, before = train(mini_records, tmp_path, kill_after=5)  # past the points of steps 2 and 4
    _, between = train(mini_records, tmp_path, stop_after=5)
    assert "stopped at step 5, which is kept" in capsys.readouterr().out
    other, after = train(mini_records, tmp_path)
    assert between == log[3:5] and after == log[5:]
    points = [event_files.points(run / "tensorboard" / "train") for run in (tmp_path, whole)]
    assert points[0] == points[1] and len(points[1]) >= 3 * 10
    for a, b in zip(network.variables, other.variables):
        assert (a.numpy() == b.numpy()).all(), a.name


def test_another_precision_goes_on_and_float16_resumes_its_loss_scale(
    mini_records, undisturbed, tmp_path
):
    _, _, done = undisturbed
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


def test_a_point_is_of_the_steps_that_have_its_value():
    """The first of two steps was of float16, before a resume."""
    window = [{"total": 1.0, "loss_scale": 8.0}, {"total": 3.0, "mask": 0.5}]
    assert fit._means(window, window[1]) == {"loss/total": 2.0, "loss/mask": 0.5}


def test_a_loss_that_is_no_number_is_named():
    with pytest.raises(InputError, match="step 7: the loss term 'mask' is nan"):
        fit.check_finite({"roi_cls": 0.5, "mask": math.nan}, 7)
    with pytest.raises(InputError, match="'total' is inf"):
        fit.check_finite({"total": math.inf}, 1)
    fit.check_finite({"total": 1e30}, 1)


def test_such_a_loss_ends_the_run_before_its_weights_are_kept(mini_records, tmp_path, monkeypatch):
    """A clip whose flow is no number: named, kept with the weights before it, and played again."""
    parse, calls = fit.records.parse, []

    def spoilt(serialized, frames):
        example = parse(serialized, frames)
        bad = example["video"] == mini_records_videos[1]
        calls.append(True)
        flow = tf.where(bad, example["flow"] * math.nan, example["flow"])
        return dict(example, flow=flow)

    mini_records_videos = sorted(
        {
            v.decode()
            for b in fit.batches(mini_records, (64, 96), 1, LEARNING).take(20)
            for v in b["video"].numpy()
        }
    )
    assert len(mini_records_videos) >= 2
    monkeypatch.setattr(fit.records, "parse", spoilt)
    model = dict(use_flow=True, temporal_layers=0)
    with pytest.raises(divergence.Diverged) as raised:
        train(mini_records, tmp_path, checkpoint_every=1, steps=50, model=model)
    text = str(raised.value)
    assert f"'action_cls' is nan, from {mini_records_videos[1]}/" in text and "roi_cls" not in text
    assert f"tools/replay_batch.py --workdir={tmp_path}" in text and calls
    step = int(re.match(r"step (\d+):", text)[1])
    batch, kept = divergence.load(str(tmp_path))
    assert kept == step - 1 and len(divergence.names(batch)) == LEARNING.batch_size
    # What is kept are the weights before the step, which are those of the last checkpoint.
    before, diverged = tiny_network.make(**model), tiny_network.make(seed=1, **model)
    checkpoints.restore(diverged, str(tmp_path), "diverged")
    if step > 1:
        checkpoints.restore(before, str(tmp_path))
    assert all(np.isfinite(v.numpy()).all() for v in diverged.variables)
    for a, b in zip(before.variables, diverged.variables):
        assert step == 1 or (a.numpy() == b.numpy()).all(), a.name

    config = Config(tiny_network.config(**model), learning=LEARNING)
    facts = types.SimpleNamespace(
        label_space=A2D, flow_method="dis", image_height=64, image_width=96, clip_stride=1
    )
    run_folder.create(tmp_path, config, facts)
    tool = pathlib.Path(__file__).resolve().parents[1] / "tools" / "replay_batch.py"
    done = subprocess.run(
        [sys.executable, tool, f"--workdir={tmp_path}"], text=True, capture_output=True
    )
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
    replay_batch = tool("replay_batch")

    @tf.function
    def probe(clip, step):
        with tf.name_scope("losses"):
            return tf.math.log(clip["x"], name="bad") + tf.math.exp(clip["x"], name="good")

    step = tf.constant(0, tf.int64)
    assert replay_batch.first_failure(probe, {"x": tf.constant([-1.0])}, step) == "losses/bad"
    assert replay_batch.first_failure(probe, {"x": tf.constant([2.0])}, step) == ""


def test_a_checkpoint_of_another_network_is_refused(mini_records, tmp_path):
    other = tiny_network.make(norm="bn")
    tf.train.CheckpointManager(
        tf.train.Checkpoint(network=other), str(tmp_path / "checkpoints"), 1
    ).save(4)
    with pytest.raises(InputError, match="a checkpoint of another network"):
        train(mini_records, tmp_path)


# The terms themselves.

ALL = dataclasses.replace(LEARNING, roi_samples=120, positive_fraction=1.0, rpn_samples=10000)
"""So large a sample takes every candidate: no draw decides."""


@pytest.fixture(scope="module")
def network():
    return tiny_network.make(norm="group_norm")


def terms_of(network, batch, learning=ALL, seed=(0, 0)):
    terms, _ = fit.forward(network, batch, tf.constant(seed), learning, training=True)
    return {name: float(x) for name, x in fit.weighted(terms, learning).items()}


def test_first_losses_are_those_of_an_undecided_network(network):
    first = terms_of(network, tiny_network.labelled(2))
    assert first["roi_cls"] == pytest.approx(math.log(2), abs=0.1)
    assert first["actor_cls"] == pytest.approx(math.log(8), abs=0.2)
    assert first["action_cls"] == pytest.approx(math.log(9), abs=0.2)
    assert first["mask"] == pytest.approx(math.log(2), abs=0.1)


def test_settings_of_boxes_and_proposals_reach_the_terms(network, monkeypatch):
    batch, counts, propose = tiny_network.labelled(2), [], fit.fpn.propose

    def watched(*arguments):
        counts.append(arguments[-2:])
        return propose(*arguments)

    monkeypatch.setattr(fit.fpn, "propose", watched)

    def boxes(**settings):
        learning = dataclasses.replace(ALL, **settings)
        terms, health = fit.forward(network, batch, tf.constant([0, 0]), learning, True)
        return np.array(terms["box_reg"]), float(health["positives"][0])

    (plain, _), (round_, _) = boxes(), boxes(rpn_beta=1.0, train_proposals_before_nms=500)
    assert counts == [(60, 30), (500, 30)]
    assert 0 < round_[0, 0] < plain[0, 0]
    divided, positives = boxes(rpn_beta=1 / 9, box_normaliser="positives")
    np.testing.assert_allclose(divided[:, 0], plain[:, 0], rtol=1e-6)
    assert divided[1, 1] == 4 * positives and divided[0, 1] < plain[0, 1]


def test_a_frame_without_annotation_adds_nothing(network):
    both = tiny_network.labelled(2)
    alone = {name: value[:1] for name, value in both.items()}
    keep = tf.constant([True, False])
    nothing = dict(
        both,
        annotated=keep,
        present=both["present"] & keep[:, None],
        boxes=both["boxes"] * tf.constant([[[1.0]], [[0.0]]]),
        masks=both["masks"] * tf.constant([1, 0], tf.uint8)[:, None, None, None],
        actors=tf.where(keep[:, None], both["actors"], -1),
        actions=tf.where(keep[:, None], both["actions"], -1),
    )
    expected = terms_of(network, alone)
    for name, value in terms_of(network, nothing).items():
        assert value == pytest.approx(expected[name], rel=2e-5), name
    differs = terms_of(network, both)
    assert any(abs(differs[name] - expected[name]) > 1e-3 for name in expected)


def test_a_batch_without_any_annotation_is_zero_and_so_are_its_gradients(network):
    batch = tiny_network.labelled(2)
    absent = tf.fill([2, 4], -1)
    batch = dict(
        batch,
        annotated=tf.constant([False] * 2),
        present=tf.fill([2, 4], False),
        actors=absent,
        actions=absent,
    )
    variables = network.trainable_weights
    with tf.GradientTape() as tape:
        terms, _ = fit.forward(network, batch, tf.constant([0, 0]), ALL, training=True)
        values = fit.weighted(terms, ALL)
    assert {float(value) for value in values.values()} == {0.0}
    gradients = tape.gradient(values["total"], variables)
    assert not any(np.any(g) for g in gradients if g is not None)


def test_rows_of_padding_do_not_count(network):
    batch = tiny_network.labelled(2)
    shorter = {
        name: value[:, :2] if name in ("boxes", "masks", "actors", "actions", "present") else value
        for name, value in batch.items()
    }
    expected = terms_of(network, shorter)
    for name, value in terms_of(network, batch).items():
        assert value == pytest.approx(expected[name], rel=2e-5), name


@pytest.mark.parametrize("name", losses.TERMS)
def test_each_lambda_weighs_its_own_term(name):
    terms = {
        term: [(tf.constant(float(i + 2)), tf.constant(2.0))] for i, term in enumerate(losses.TERMS)
    }
    terms["box_reg"].append((tf.constant(5.0), tf.constant(0.0)))
    base = {term: (i + 2) / 2 for i, term in enumerate(losses.TERMS)}
    made = fit.weighted(terms, dataclasses.replace(LEARNING, **{f"lambda_{name}": 3.0}))
    expected = dict(base, **{name: 3 * base[name]})
    expected["total"] = sum(expected.values())
    assert {k: float(v) for k, v in made.items()} == expected


def test_a_held_out_actor_loses_its_action_term_alone(network):
    batch = tiny_network.labelled(2)  # in each frame a bird and a cat
    full = terms_of(network, batch)
    parts = {
        actor: terms_of(network, batch, dataclasses.replace(ALL, zero_shot_actor=actor))
        for actor in ("bird", "cat", "dog")
    }
    for actor, values in parts.items():
        for name in losses.TERMS:
            if name != "action_cls" or actor == "dog":
                assert values[name] == full[name], (actor, name)
    # Each RoI is of one of the two or background, and the count stays: the rests add up to the
    # whole and background once more, which is what is left where all are birds.
    rest = parts["bird"]["action_cls"] + parts["cat"]["action_cls"]
    birds = dataclasses.replace(ALL, zero_shot_actor="bird")
    background = terms_of(network, all_birds(batch), birds)["action_cls"]
    assert 0 < background < parts["bird"]["action_cls"] < full["action_cls"]
    assert rest == pytest.approx(full["action_cls"] + background, rel=1e-5)


def all_birds(batch, action=3):
    """The batch with every instance a bird that does this (0-based) action; by default it flies."""
    present = batch["present"]
    return dict(batch, actors=tf.where(present, 3, -1), actions=tf.where(present, action, -1))


def test_withheld_labels_change_no_gradient(network):
    """With background among the actions its RoIs go on to train the action branch."""
    learning, found = dataclasses.replace(ALL, zero_shot_actor="bird"), []
    for action in (3, 7):
        birds = all_birds(tiny_network.labelled(2), action)
        with tf.GradientTape() as tape:
            terms, _ = fit.forward(network, birds, tf.constant([0, 0]), learning, training=True)
            total = fit.weighted(terms, learning)["total"]
        variables = network.trainable_weights
        found.append(tape.gradient(total, variables, unconnected_gradients="zero"))
    for variable, one, other in zip(variables, *found):
        np.testing.assert_array_equal(one, other, err_msg=variable.name)
    moved = {v.name for v, gradient in zip(variables, found[0]) if np.any(gradient)}
    assert "action_logits/kernel:0" in moved


def test_a_held_out_actor_alone_gives_no_gradient_to_the_action_branch():
    """Withheld labels reach nothing that learns the action, and all else as before, by name.

    Without background among the actions, that is.
    """
    network = tiny_network.make(action_background=False)
    birds = all_birds(tiny_network.labelled(2))

    def gradients(learning):
        variables = network.trainable_weights
        with tf.GradientTape() as tape:
            terms, _ = fit.forward(network, birds, tf.constant([0, 0]), learning, training=True)
            total = fit.weighted(terms, learning)["total"]
        found = tape.gradient(total, variables, unconnected_gradients="zero")
        return {v.name: g.numpy() for v, g in zip(variables, found)}

    full = gradients(ALL)
    withheld = gradients(dataclasses.replace(ALL, zero_shot_actor="bird"))
    # Of the action branch: the action head, the flow tower, the temporal layers of both streams.
    context = {v.name for v in network.context.variables}
    removed = {n for n in full if n.startswith(("action_", "flow_")) or n in context}
    assert {name.split("_")[0] for name in removed} == {"action", "flow", "rgb"}
    assert {name for name in full if full[name].any() and not withheld[name].any()} == {
        name for name in removed if full[name].any()
    }
    own = ("rpn_", "actor_", "mask_")
    for name in full:
        if name.startswith(own):
            np.testing.assert_array_equal(withheld[name], full[name], err_msg=name)
            assert full[name].any(), name


def test_the_seed_decides_the_sample(network):
    learning = dataclasses.replace(LEARNING, roi_samples=8, rpn_samples=16)
    batch = tiny_network.labelled(2)
    seeds = ((0, 1), (0, 1), (0, 2), (1, 1))
    first, again, later, other = (terms_of(network, batch, learning, seed) for seed in seeds)
    assert first == again and first != later and first != other


@pytest.mark.parametrize(
    "spoil",
    [
        lambda batch: dict(batch, flow=0 * batch["flow"]),
        lambda batch: dict(batch, rgb=0 * batch["rgb"]),
        lambda batch: dict(
            batch, boxes=tf.where(batch["present"][..., None], [20.0, 30, 21, 31], 0.0)
        ),
        lambda batch: dict(
            batch,
            boxes=tf.where(batch["present"][..., None], [0.0, 0, 64, 96], 0.0),
            masks=tf.ones_like(batch["masks"]),
        ),
        lambda batch: dict(batch, masks=0 * batch["masks"]),
        lambda batch: dict(batch, flow=1e6 * batch["flow"]),
    ],
    ids=["zero flow", "black", "pixel", "filling", "no masks", "huge flow"],
)
def test_extreme_clips_train_without_a_nan(spoil, network):
    batch = spoil(tiny_network.labelled(2))
    variables = network.trainable_weights
    with tf.GradientTape() as tape:
        terms, _ = fit.forward(network, batch, tf.constant([0, 0]), LEARNING, training=True)
        values = fit.weighted(terms, LEARNING)
    gradients = tape.gradient(values["total"], variables, unconnected_gradients="zero")
    assert all(math.isfinite(float(value)) for value in values.values())
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_frame_full_of_instances_trains_without_a_nan(network):
    """25 of them, the most that a frame may have, many alike."""
    batch = tiny_network.labelled(2)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, [40, 60], (2, 25, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 24, (2, 25, 2))], -1)
    boxes[:, 20:] = boxes[:, :1]
    masks = np.ones((2, 25, *tiny_network.CANVAS), np.uint8)
    batch.update(
        boxes=tf.constant(boxes, tf.float32),
        masks=tf.constant(masks),
        actors=tf.fill([2, 25], 3),
        actions=tf.fill([2, 25], 3),
        present=tf.fill([2, 25], True),
    )
    values = terms_of(network, batch, LEARNING)
    assert all(math.isfinite(value) and value > 0 for value in values.values())


def test_every_term_falls_on_one_batch(monkeypatch):
    """Within forty steps, with proposals that stay, lest the boxes' task grows while they learn."""
    batch = tiny_network.labelled(2)
    shift = tf.random.stateless_uniform([2, 20, 4], [0, 1], -8.0, 8.0)
    background = tf.tile(tf.constant([[[10.0, 60, 30, 90]]]), [2, 10, 1])
    proposals = tf.concat([tf.repeat(batch["boxes"][:, :2], 5, axis=1), background], 1) + shift
    monkeypatch.setattr(fit.fpn, "propose", lambda *_: (proposals, tf.fill([2, 20], True)))
    network = tiny_network.make(norm="frozen_bn")
    opt = optimizer.make_optimizer("sgd", optimizer.Schedule(0.02, 100, 5), 0.9, 1e-4)
    step = fit.make_train_step(network, opt, LEARNING)
    log = [
        {k: float(v) for k, v in step(batch, tf.constant(0, tf.int64)).items()} for _ in range(40)
    ]
    for name in losses.TERMS:
        assert log[-1][name] < 0.6 * log[0][name], (name, log[0][name], log[-1][name])
