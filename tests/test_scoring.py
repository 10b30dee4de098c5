"""Scores and boxes of every class, actor, action and pair, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.model import scoring
from a2d_tf.ops.boxes import BoxCoder

SMALL = LabelSpace(("x", "y"), ("a", "b", "c"), (11, 12, 23))
"""Two actors and three actions, of which x does a or b, and y does c."""

PAIRS = [(0, 0), (0, 1), (1, 2)]
CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def heads(mode, batch=2, rois=6, seed=0, background=False):
    """Random head outputs for SMALL, RoIs, and which of them are valid."""
    rng = np.random.default_rng(seed)
    count = scoring.num_classes(SMALL, mode)
    outputs = {
        "class_logits": rng.normal(0, 2, (batch, rois, count + 1)),
        "deltas": rng.normal(0, 2, (batch, rois, count, 4)),
    }
    if mode != "cartesian":
        count = scoring.num_action_classes(SMALL, mode, background)
        outputs["action_logits"] = rng.normal(0, 2, (batch, rois, count))
    corner = rng.uniform(0, 60, (batch, rois, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (batch, rois, 2))], -1)
    valid = np.ones((batch, rois), bool)
    valid[:, -1] = False
    return {k: v.astype("f") for k, v in outputs.items()}, boxes.astype("f"), valid


SIZE = np.int32([[80, 70], [60, 90]])


def score(mode, seed=0):
    outputs, rois, valid = heads(mode, seed=seed)
    table = scoring.score_rois(
        {k: tf.constant(v) for k, v in outputs.items()},
        tf.constant(rois),
        tf.constant(valid),
        tf.constant(SIZE),
        labels=SMALL,
        label_mode=mode,
        coder=CODER,
    )
    return outputs, rois, valid, {name: value.numpy() for name, value in table.items()}


def decoded(deltas, rois):
    """Boxes of each class, clipped: [B, R, C, 4], by the formula."""
    out = np.zeros(deltas.shape)
    for b, r, c in np.ndindex(*deltas.shape[:3]):
        y1, x1, y2, x2 = rois[b, r]
        dy, dx, dh, dw = deltas[b, r, c] / [10, 10, 5, 5]
        cy, cx = (y1 + y2) / 2 + dy * (y2 - y1), (x1 + x2) / 2 + dx * (x2 - x1)
        h, w = (y2 - y1) * np.exp(dh), (x2 - x1) * np.exp(dw)
        box = [cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2]
        out[b, r, c] = np.clip(box, 0, np.tile(SIZE[b], 2))
    return out


@pytest.mark.parametrize("mode", ["decoupled", "hierarchical", "cartesian"])
def test_score_tables(mode):
    outputs, rois, valid, table = score(mode)
    p = softmax(outputs["class_logits"])[..., :-1] * valid[..., None]
    boxes = decoded(outputs["deltas"], rois)
    joint = np.zeros((2, 6, 2, 3))
    for b, r in np.ndindex(2, 6):
        for index, (x, y) in enumerate(PAIRS):
            if mode == "cartesian":
                joint[b, r, x, y] = p[b, r, index]
            elif mode == "decoupled":
                joint[b, r, x, y] = p[b, r, x] * softmax(outputs["action_logits"][b, r])[y]
            else:
                given = softmax(outputs["action_logits"][b, r, 3 * x : 3 * x + 3])
                joint[b, r, x, y] = p[b, r, x] * given[y]
    np.testing.assert_allclose(table["joint_scores"], joint, atol=1e-6)
    assert not table["joint_scores"][:, :, ~SMALL.valid].any()
    np.testing.assert_allclose(table["class_scores"], p, atol=1e-6)
    np.testing.assert_allclose(table["class_boxes"], boxes, atol=1e-3)
    if mode == "cartesian":
        np.testing.assert_allclose(table["actor_scores"], joint.sum(3), atol=1e-6)
        np.testing.assert_allclose(table["action_scores"], joint.sum(2), atol=1e-6)
        for index, (x, y) in enumerate(PAIRS):
            np.testing.assert_allclose(
                table["joint_boxes"][:, :, x, y], boxes[:, :, index], atol=1e-3
            )
        # An actor's box is that of its best pair.
        best = np.where(p[..., :1] >= p[..., 1:2], boxes[:, :, 0], boxes[:, :, 1])[:, :5]
        np.testing.assert_allclose(table["boxes"][:, :5, 0], best, atol=1e-3)
        np.testing.assert_allclose(table["boxes"][:, :5, 1], boxes[:, :5, 2], atol=1e-3)
    else:
        np.testing.assert_allclose(table["actor_scores"], p, atol=1e-6)
        np.testing.assert_allclose(table["boxes"], boxes, atol=1e-3)
        if mode == "decoupled":
            actions = softmax(outputs["action_logits"]) * valid[..., None]
        else:
            actions = joint.sum(axis=2)  # of the valid pairs
        np.testing.assert_allclose(table["action_scores"], actions, atol=1e-6)


def test_background_among_the_actions_takes_its_share_of_their_probability():
    outputs, rois, valid = heads("decoupled", background=True)
    assert outputs["action_logits"].shape == (2, 6, 4)
    outputs["action_logits"][0, 0] = np.log([1, 2, 3, 4])
    outputs["class_logits"][0, 0] = np.log([1, 2, 1])
    table = scoring.score_rois(
        outputs, rois, valid, SIZE, labels=SMALL, label_mode="decoupled", coder=CODER
    )
    np.testing.assert_allclose(table["action_scores"][0, 0], [0.1, 0.2, 0.3], atol=1e-6)
    joint = np.outer([0.25, 0.5], [0.1, 0.2, 0.3]) * SMALL.valid
    np.testing.assert_allclose(table["joint_scores"][0, 0], joint, atol=1e-6)
    left = 1 - softmax(outputs["action_logits"])[..., 3]
    np.testing.assert_allclose(np.sum(table["action_scores"], 2), left * valid, atol=1e-6)


def test_a_sure_car_does_not_eat():
    """Of hierarchical labels: the actions that it can do share what the softmax leaves them."""
    logits = np.full((1, 1, 8), -50, "f")
    logits[0, 0, A2D.actor_index("car")] = 50
    table = scoring.score_rois(
        {
            "class_logits": tf.constant(logits),
            "deltas": tf.zeros([1, 1, 7, 4]),
            "action_logits": tf.zeros([1, 1, 63]),
        },
        tf.constant([[[0.0, 0, 9, 9]]]),
        tf.constant([[True]]),
        tf.constant([[20, 20]]),
        labels=A2D,
        label_mode="hierarchical",
        coder=CODER,
    )
    scores = dict(zip(A2D.actions, table["action_scores"].numpy()[0, 0]))
    assert scores["eating"] == pytest.approx(0, abs=1e-9)
    assert scores["flying"] == pytest.approx(1 / 9)


def test_the_box_of_an_actor_is_that_of_a_valid_pair_even_where_all_score_zero():
    outputs, rois, valid = heads("cartesian")
    outputs["class_logits"][0, 0] = [0, 0, -1000, 0]  # the last pair, y's only one, underflows
    table = scoring.score_rois(
        {k: tf.constant(v) for k, v in outputs.items()},
        tf.constant(rois),
        tf.constant(valid),
        tf.constant(SIZE),
        labels=SMALL,
        label_mode="cartesian",
        coder=CODER,
    )
    assert table["actor_scores"][0, 0, 1] == 0 and tf.reduce_any(table["boxes"][0, 0, 1] > 0)
    np.testing.assert_array_equal(table["boxes"][0, 0, 1], table["joint_boxes"][0, 0, 1, 2])


def test_classes_of_pairs():
    assert scoring.num_classes(A2D, "decoupled") == 7
    assert scoring.num_classes(A2D, "cartesian") == 43
    assert scoring.class_of_pair(SMALL, "decoupled").tolist() == [0, 0, 1]
    assert scoring.class_of_pair(SMALL, "cartesian").tolist() == [0, 1, 2]
