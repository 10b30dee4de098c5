"""The forward pass of training: terms, gradients, and what they do not depend on."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
import tiny_network
from tiny_network import LEARNING

from a2d_tf.model.heads import LOSS_TERMS
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.structures import Term
from a2d_tf.training.step import forward
from a2d_tf.training.step.phases import set_phase
from a2d_tf.training.step.train_step import TrainState, make_train_step

ALL = dataclasses.replace(
    LEARNING, roi_samples=120, positive_fraction=1.0, rpn_samples=10000
)
"""So large a sample takes every candidate: no draw decides."""


@pytest.fixture(scope="module")
def network():
    return tiny_network.make()


def values_of(network, batch, training, seed=(0, 0)):
    terms, _ = forward.forward(network, batch, tf.constant(seed), training)
    return forward.weighted(terms, training)


def terms_of(network, batch, training=ALL, seed=(0, 0)):
    values = values_of(network, batch, training, seed)
    return {name: float(value) for name, value in values.items()}


def gradients_of(network, batch, training=ALL):
    """The values, and {variable's name: gradient of the total}."""
    variables = network.trainable_weights
    with tf.GradientTape() as tape:
        values = values_of(network, batch, training)
    gradients = tape.gradient(values["total"], variables, unconnected_gradients="zero")
    return values, {
        v.name: gradient.numpy() for v, gradient in zip(variables, gradients)
    }


def test_first_losses_are_those_of_an_undecided_network(network):
    first = terms_of(network, tiny_network.labelled(2))
    assert first["objectness"] == pytest.approx(math.log(2), abs=0.1)
    assert first["actor_cls"] == pytest.approx(math.log(8), abs=0.2)
    assert first["action_cls"] == pytest.approx(math.log(9), abs=0.2)
    assert first["mask"] == pytest.approx(math.log(2), abs=0.1)


def test_settings_of_boxes_reach_the_terms(network):
    """Each as (sum, count), of anchors and of RoIs."""

    def boxes(**settings):
        training = dataclasses.replace(ALL, **settings)
        batch, seed = tiny_network.labelled(2), tf.constant([0, 0])
        terms, health = forward.forward(network, batch, seed, training)
        return np.array(terms["box_reg"]), float(health["positives"][0])

    (plain, positives), (round_, _) = boxes(), boxes(rpn_beta=1.0)
    assert 0 < round_[0, 0] < plain[0, 0]
    rois, anchors = (
        boxes(box_normaliser="positives")[0],
        boxes(rpn_box_normaliser="samples")[0],
    )
    np.testing.assert_allclose(
        [rois[:, 0], anchors[:, 0]], [plain[:, 0]] * 2, rtol=1e-6
    )
    assert rois[1, 1] == 4 * positives and rois[0, 1] == plain[0, 1] < anchors[0, 1]
    assert plain[1, 1] == anchors[1, 1]


def without_annotation(batch, *keep):
    """The batch, of whose frames only those to keep are annotated."""
    keep = tf.constant(keep)
    return dict(
        batch,
        annotated=keep,
        present=batch["present"] & keep[:, None],
        actors=tf.where(keep[:, None], batch["actors"], -1),
        actions=tf.where(keep[:, None], batch["actions"], -1),
    )


def test_frames_without_annotation_and_rows_of_padding_add_nothing(network):
    both = tiny_network.labelled(2)
    full = terms_of(network, both)
    padded = ("boxes", "masks", "has_mask", "actors", "actions", "present")
    shorter = {
        name: value[:, :2] if name in padded else value for name, value in both.items()
    }
    assert terms_of(network, shorter) == pytest.approx(full, rel=2e-5)
    alone = terms_of(network, {name: value[:1] for name, value in both.items()})
    assert terms_of(network, without_annotation(both, True, False)) == pytest.approx(
        alone, rel=2e-5
    )
    assert any(abs(full[name] - alone[name]) > 1e-3 for name in alone)
    none = without_annotation(both, False, False)
    values, gradients = gradients_of(network, none)
    assert {float(value) for value in values.values()} == {0.0}
    assert not any(gradient.any() for gradient in gradients.values())
    # Frames of background alone, which are annotated, feed the classes.
    background = terms_of(network, dict(none, annotated=both["annotated"]))
    assert {name for name in LOSS_TERMS if background[name] > 0} == {
        "objectness",
        "actor_cls",
        "action_cls",
    }


def test_each_lambda_weighs_its_own_term():
    terms = {
        term: [Term(tf.constant(float(i + 2)), tf.constant(2.0))]
        for i, term in enumerate(LOSS_TERMS)
    }
    terms["box_reg"].append(Term(tf.constant(5.0), tf.constant(0.0)))
    base = {term: (i + 2) / 2 for i, term in enumerate(LOSS_TERMS)}
    for name in LOSS_TERMS:
        made = forward.weighted(
            terms, dataclasses.replace(LEARNING, **{f"lambda_{name}": 3.0})
        )
        expected = dict(base, **{name: 3 * base[name]})
        expected["total"] = sum(expected.values())
        assert {k: float(v) for k, v in made.items()} == expected


def test_a_held_out_actor_alone_gives_no_gradient_to_the_action_branch():
    """And all else as before, without background among the actions."""
    network = tiny_network.make(action_background=False)
    batch = tiny_network.labelled(2)
    flying = tf.where(batch["present"], 3, -1)
    birds = dict(batch, actors=flying, actions=flying)
    _, full = gradients_of(network, birds)
    _, withheld = gradients_of(
        network, birds, dataclasses.replace(ALL, zero_shot_actor="bird")
    )
    set_phase(network, "action")
    branch = {variable.name for variable in network.trainable_weights}
    assert {name for name in full if full[name].any() and not withheld[name].any()} == {
        name for name in branch if full[name].any()
    }
    parts = (network.rpn, network.roi_heads, network.mask_head)
    own = {variable.name for part in parts for variable in part.trainable_variables}
    set_phase(network, "actor")
    for name in own & {variable.name for variable in network.trainable_weights}:
        np.testing.assert_array_equal(withheld[name], full[name], err_msg=name)
        assert full[name].any(), name


def test_extreme_clips_train_without_a_nan(network):
    """Still, black, tiny or filling instances, no masks, huge flow, 25 instances."""
    batch = {name: x.numpy() for name, x in tiny_network.labelled(7).items()}
    absent = dict(
        boxes=0, masks=0, has_mask=False, actors=-1, actions=-1, present=False
    )
    for name, value in absent.items():
        rest = np.full([7, 21, *batch[name].shape[2:]], value, batch[name].dtype)
        batch[name] = np.concatenate([batch[name], rest], axis=1)
    batch["flow"][0], batch["rgb"][1] = 0, 0
    batch["boxes"][2, :2] = [20, 30, 21, 31]
    batch["boxes"][3, :2], batch["masks"][3, :2] = [0, 0, 64, 96], 1
    batch["masks"][4] = 0
    batch["flow"][5] *= 1e6
    rng = np.random.default_rng(0)
    corners = rng.integers(0, [40, 60], (25, 2))
    batch["boxes"][6] = np.concatenate(
        [corners, corners + rng.integers(1, 24, (25, 2))], -1
    )
    batch["boxes"][6, 20:] = batch["boxes"][6, :1]
    for name in ("masks", "has_mask", "actors", "actions", "present"):
        batch[name][6] = dict(masks=1, has_mask=True, present=True).get(name, 3)
    batch = {name: tf.constant(value) for name, value in batch.items()}
    training = dataclasses.replace(LEARNING, batch_size=7)
    values, gradients = gradients_of(network, batch, training)
    assert all(math.isfinite(float(value)) for value in values.values())
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_every_term_falls_on_one_batch(monkeypatch):
    """It takes forty steps; proposals stay, or the boxes' task would grow."""
    batch = tiny_network.labelled(2)
    shift = tf.random.stateless_uniform([2, 20, 4], [0, 1], -8.0, 8.0)
    background = tf.tile(tf.constant([[[10.0, 60, 30, 90]]]), [2, 10, 1])
    proposals = (
        tf.concat([tf.repeat(batch["boxes"][:, :2], 5, axis=1), background], 1) + shift
    )
    stay = proposals, tf.fill([2, 20], True)
    monkeypatch.setattr(Proposals, "decode", lambda *_, **__: stay)
    network = tiny_network.make(norm="frozen_bn", use_flow=False, temporal_layers=0)
    training = dataclasses.replace(LEARNING, learning_rate=0.02, warmup_steps=5)
    step = make_train_step(TrainState.create(network, training), training)
    log = [{k: float(v) for k, v in step(batch, 0).items()} for _ in range(40)]
    for name in LOSS_TERMS:
        assert log[-1][name] < 0.6 * log[0][name], (name, log[0][name], log[-1][name])
