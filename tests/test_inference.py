"""Scores and boxes of classes, actors, actions and pairs; the choice of detections."""

import numpy as np
import pytest
import tensorflow as tf
from plain_detection import slow_iou

from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model import label_modes
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.label_modes import RoiPredictions
from a2d_tf.model.postprocessing.pairs import assign_pairs
from a2d_tf.model.postprocessing.suppression import suppress
from a2d_tf.model.structures import HeadInputs, RoiTable
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
    space = label_modes.make(mode, SMALL, background)
    count = space.num_classes
    outputs = {
        "class_logits": rng.normal(0, 2, (batch, rois, count + 1)),
        "deltas": rng.normal(0, 2, (batch, rois, count, 4)),
    }
    if space.num_actions:
        outputs["action_logits"] = rng.normal(0, 2, (batch, rois, space.num_actions))
    corner = rng.uniform(0, 60, (batch, rois, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (batch, rois, 2))], -1)
    valid = np.ones((batch, rois), bool)
    valid[:, -1] = False
    return {k: v.astype("f") for k, v in outputs.items()}, boxes.astype("f"), valid


SIZE = np.int32([[80, 70], [60, 90]])


def scored(outputs, rois, valid, mode):
    """The table of RoIs as a dict."""
    space, seen = label_modes.make(mode, SMALL), HeadInputs(None, outputs, None)
    found = ActorHead(space, CODER).decode(seen, rois, valid, SIZE)
    table = space.score_pairs(
        RoiPredictions(*found, outputs.get("action_logits"), valid)
    )
    return {name: value for name, value in table._asdict().items() if value is not None}


def score(mode, seed=0):
    outputs, rois, valid = heads(mode, seed=seed)
    table = scored(outputs, rois, valid, mode)
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
                joint[b, r, x, y] = (
                    p[b, r, x] * softmax(outputs["action_logits"][b, r])[y]
                )
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
        best = np.where(p[..., :1] >= p[..., 1:2], boxes[:, :, 0], boxes[:, :, 1])[
            :, :5
        ]
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
    table = scored(outputs, rois, valid, "decoupled")
    np.testing.assert_allclose(table["action_scores"][0, 0], [0.1, 0.2, 0.3], atol=1e-6)
    joint = np.outer([0.25, 0.5], [0.1, 0.2, 0.3]) * SMALL.valid
    np.testing.assert_allclose(table["joint_scores"][0, 0], joint, atol=1e-6)
    left = 1 - softmax(outputs["action_logits"])[..., 3]
    np.testing.assert_allclose(
        np.sum(table["action_scores"], 2), left * valid, atol=1e-6
    )


def test_the_box_of_an_actor_is_that_of_a_valid_pair_even_where_all_score_zero():
    outputs, rois, valid = heads("cartesian")
    # the last pair, y's only one, underflows
    outputs["class_logits"][0, 0] = [0, 0, -1000, 0]
    table = scored(outputs, rois, valid, "cartesian")
    assert table["actor_scores"][0, 0, 1] == 0 and tf.reduce_any(
        table["boxes"][0, 0, 1] > 0
    )
    np.testing.assert_array_equal(
        table["boxes"][0, 0, 1], table["joint_boxes"][0, 0, 1, 2]
    )


# The choice of detections.


def plain_selection(scores, boxes, threshold, overlap):
    """Per-class suppression of one frame: [(score, roi, class)], best first."""
    kept = []
    for c in range(scores.shape[1]):
        own = []
        for r in np.argsort(-scores[:, c], kind="stable"):
            if scores[r, c] < threshold or scores[r, c] == 0:
                continue
            if all(slow_iou(boxes[r, c], boxes[k, c]) <= overlap for k in own):
                own.append(r)
        kept += [(scores[r, c], r, c) for r in own]
    return sorted(kept, reverse=True)


def table_of(rois=40, seed=0):
    """A table of SMALL with many overlaps, decoupled."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (2, rois, 2, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 30, (2, rois, 2, 2))], -1)
    actors = rng.uniform(0, 0.5, (2, rois, 2))
    actions = rng.dirichlet([1.0, 1.0, 1.0], (2, rois))
    joint = actors[..., None] * actions[:, :, None] * SMALL.valid
    made = {
        "class_scores": actors,
        "class_boxes": boxes,
        "boxes": boxes,
        "actor_scores": actors,
        "action_scores": actions,
        "joint_scores": joint,
    }
    return {name: value.astype(np.float32) for name, value in made.items()}


def select(
    table,
    mode="decoupled",
    threshold=0.1,
    overlap=0.3,
    most=20,
    labels=SMALL,
    action_threshold=0.0,
):
    settings = InferenceConfig(
        score_threshold=threshold,
        nms_threshold=overlap,
        max_detections=most,
        action_threshold=action_threshold,
    )
    given = RoiTable(**{k: tf.constant(v) for k, v in table.items()})
    kept = suppress(given.class_scores, given.class_boxes, settings)
    own = RoiTable(
        *(x if x is None else tf.gather(x, kept.roi, batch_dims=1) for x in given)
    )
    space = label_modes.make(mode, labels)
    made = assign_pairs(space, kept, own, action_threshold)
    return {
        name: value.numpy()
        for name, value in made._asdict().items()
        if name != "head_results"
    }


@pytest.mark.parametrize(
    "threshold, overlap, most", [(0.1, 0.3, 40), (0.3, 0.5, 40), (0.0, 0.3, 8)]
)
def test_selection_is_a_suppression_per_class(threshold, overlap, most):
    table = table_of()
    made = select(table, threshold=threshold, overlap=overlap, most=most)
    for b in range(2):
        expected = plain_selection(
            table["class_scores"][b], table["class_boxes"][b], threshold, overlap
        )[:most]
        count = made["number"][b]
        assert count == len(expected) and 4 < count
        scores, rois, classes = map(list, zip(*expected))
        assert made["class_scores"][b, :count].tolist() == scores
        assert made["classes"][b, :count].tolist() == classes
        assert (made["actor"][b, :count] == np.add(classes, 1)).all()
        assert (made["boxes"][b, :count] == table["boxes"][b, rois, classes]).all()
        assert (
            made["action_scores"][b, :count] == table["action_scores"][b, rois]
        ).all()
        assert (made["actor_scores"][b, :count] == table["actor_scores"][b, rois]).all()
        own = table["joint_scores"][b, rois, classes]
        assert (made["score"][b, :count] == own.max(1)).all()
        assert (made["action"][b, :count] == own.argmax(1) + 1).all()
        assert (made["code"][b] == 10 * made["actor"][b] + made["action"][b]).all()
        assert set(made["code"][b, :count]) <= set(SMALL.codes)
        for name, value in made.items():
            if name != "number":
                assert not value[b, count:].any(), name


def test_an_invalid_pair_is_not_chosen_even_where_the_valid_ones_underflow():
    table = {name: value[:1] for name, value in table_of(1).items()}
    table.update(class_scores=np.float32([[[0.05, 0.8]]]))
    table["joint_scores"][:] = 0
    made = select(table, most=1)
    assert made["code"].tolist() == [[23]] and made["score"].tolist() == [[0]]


@pytest.mark.parametrize("mode, pairs", [("decoupled", 2), ("cartesian", 3)])
def test_an_action_threshold_drops_instances_and_leaves_no_gaps(mode, pairs):
    table = table_of()
    rng = np.random.default_rng(1)
    table["class_scores"] = rng.uniform(0, 0.5, (2, 40, pairs)).astype(np.float32)
    table["class_boxes"] = np.tile(table["boxes"][:, :, :1], (1, 1, pairs, 1))
    every, made = (
        select(table, mode, most=40),
        select(table, mode, most=40, action_threshold=0.4),
    )
    for b in range(2):
        action = every["action"][b, : every["number"][b]] - 1
        own = every["action_scores"][b, range(len(action)), action]
        rows = np.flatnonzero(own >= 0.4)
        assert 2 < len(rows) < len(own) and rows[-1] > len(rows)
        assert made["number"][b] == len(rows)
        for name in set(made) - {"number"}:
            assert (made[name][b, : len(rows)] == every[name][b, rows]).all(), name
            assert not made[name][b, len(rows) :].any(), name


def test_cartesian_classes_are_pairs():
    table = table_of(1)
    scores = np.float32([[[0.2, 0.5, 0.15]]])
    boxes = np.float32([[[[0, 0, 9, 9], [0, 0, 8, 8], [30, 30, 40, 40]]]])
    table = {name: value[:1] for name, value in table.items()}
    table.update(class_scores=scores, class_boxes=boxes)
    made = select(table, "cartesian", most=4)
    assert made["code"].tolist() == [[12, 11, 23, 0]]
    assert made["actor"].tolist() == [[1, 1, 2, 0]] and made["action"].tolist() == [
        [2, 1, 3, 0]
    ]
    np.testing.assert_allclose(made["score"], [[0.5, 0.2, 0.15, 0]])
    assert made["boxes"][0, 0].tolist() == [0, 0, 8, 8]


def test_a_score_that_is_the_threshold_is_enough():
    table = table_of()
    scores = np.unique(table["class_scores"])
    for threshold in map(float, scores[scores > 0][-3:]):
        made = select(table, threshold=threshold, overlap=1.0)
        assert (made["class_scores"] == threshold).any()
        assert made["number"].sum() == (table["class_scores"] >= threshold).sum()


def test_rows_that_are_not_used_of_a_detector_whose_first_class_is_no_actor():
    labels = LabelSpace(("dog",), ("__undefined__",), (11,))
    mode = label_modes.DetectorLabels(labels, {"person": -1, "dog": 0})
    scores = tf.constant([[[0.0, 0.7], [0.0, 0.0]]])
    valid = tf.constant([[True, False]])
    table = mode.score_pairs(
        RoiPredictions(scores, tf.zeros([1, 2, 2, 4]), None, valid)
    )
    pairs = mode.best_pairs(tf.constant([[1, 0]]), table)
    assert pairs.actor.numpy().tolist() == [[0, 0]]
    np.testing.assert_allclose(pairs.score, [[0.7, 0.0]])
