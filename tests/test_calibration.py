"""Calibration, and the best mask of each pair: literals, and slow loops from the definitions."""

import numpy as np
import pytest

from a2d_tf.core.labels import A2D
from a2d_tf.evaluation import best_masks, calibration
from a2d_tf.evaluation.box_data import Detections, Truth
from a2d_tf.evaluation.coco_results import Results, encode_mask


def test_reliability_by_hand():
    figures = calibration.reliability(
        np.array([1 / 15, 0.5, 0.52, 0.9, 1.0]), np.array([True, False, True, True, False])
    )
    counts = np.zeros(15, int)
    counts[[0, 7, 13, 14]] = 1, 2, 1, 1  # the upper edge of a bin is its own
    assert figures["count"] == counts.tolist()
    assert figures["confidence"][7] == pytest.approx(51) and figures["accuracy"][7] == 50
    assert figures["confidence"][1] is figures["accuracy"][1] is None
    parts = [1 - 1 / 15, 0.02, 0.1, 1.0]  # by bin: number times distance
    assert figures["ece"] == pytest.approx(100 * sum(parts) / 5)
    assert calibration.reliability(np.array([0.0]), np.array([False]))["count"][0] == 1
    assert calibration.reliability(np.zeros(0), np.zeros(0, bool))["ece"] is None


def rois(*rows):
    """Detections on frame v/1 of (box, {actor: p}, {action: p}); indices from 0."""
    boxes, actors, actions = np.zeros((len(rows), 7, 4)), np.zeros((len(rows), 7)), []
    for i, (box, of_actor, of_action) in enumerate(rows):
        boxes[i] = box
        actors[i, list(of_actor)] = list(of_actor.values())
        actions.append([of_action.get(action, 0.0) for action in range(9)])
    return Detections(
        ["v/1"], np.zeros(len(rows), int), boxes, actors, np.reshape(actions, (-1, 9))
    )


FIRST, SECOND, LAST = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]
ADULT, CAT, CLIMBING, FLYING, RUNNING = 0, 5, 0, 3, 6


def test_only_instances_that_are_found_count():
    truth = Truth(["v/1"], [0, 0, 0], [FIRST, SECOND, LAST], [17, 61, 61])
    detections = rois(
        (FIRST, {ADULT: 0.8, CAT: 0.1}, {RUNNING: 0.7, CLIMBING: 0.2}),
        ([0, 0, 10, 9], {CAT: 0.6}, {CLIMBING: 0.9}),  # suppressed by the first
        (SECOND, {ADULT: 0.5, CAT: 0.4}, {CLIMBING: 0.3, RUNNING: 0.1}),  # another actor
        ([60, 0, 70, 10], {CAT: 0.99}, {CLIMBING: 0.9}),  # of nothing
        ([40, 0, 50, 4], {CAT: 0.9}, {CLIMBING: 0.9}),  # IoU .4
    )
    figures = calibration.metrics_of(detections, truth, A2D)
    actor, action = figures["actor"], figures["action"]
    assert sum(actor["count"]) == sum(action["count"]) == 2
    assert actor["count"][11] == 1 and actor["accuracy"][11] == 100  # .8
    assert actor["count"][7] == 1 and actor["accuracy"][7] == 0  # .5
    assert actor["ece"] == pytest.approx(100 * (0.2 + 0.5) / 2)
    assert action["ece"] == pytest.approx(100 * (0.3 + 0.7) / 2)


def test_an_action_is_a_valid_one_of_the_actor():
    truth = Truth(["v/1"], [0], [FIRST], [17])
    scores = {FLYING: 0.6, RUNNING: 0.3}  # no adult flies
    action = calibration.metrics_of(rois((FIRST, {ADULT: 1.0}, scores)), truth, A2D)["action"]
    assert action["count"][4] == 1 and action["ece"] == pytest.approx(70)
    # With pair scores, these choose, and p(action) is still the action's.
    detections = rois((FIRST, {ADULT: 1.0}, {RUNNING: 0.3, CLIMBING: 0.4}))
    detections.joint_scores = np.zeros((1, 7, 9))
    detections.joint_scores[0, ADULT, RUNNING] = 0.01
    action = calibration.metrics_of(detections, truth, A2D)["action"]
    assert action["ece"] == pytest.approx(70)


def test_nothing_found():
    truth = Truth(["v/1"], [0], [FIRST], [17])
    for detections in (rois(), rois((LAST, {CAT: 0.5}, {CLIMBING: 0.5}))):
        figures = calibration.metrics_of(detections, truth, A2D)
        assert figures["actor"]["ece"] is None and sum(figures["action"]["count"]) == 0


# ---- The best mask of each pair

SIZE = (10, 20)


def columns(start, end):
    """The RLE of some columns of a frame of 10 rows."""
    mask = np.zeros(SIZE, bool)
    mask[:, start:end] = True
    return encode_mask(mask)


def results(*rows):
    """Results of (frame, code, score, mask)."""
    frames, codes, scores, masks = zip(*rows) if rows else ((), (), (), ())
    sides = np.array(frames, int), np.zeros((len(rows), 4)), np.array(codes, int)
    return Results(np.array(["v/1", "v/2"]), *sides, np.array(scores, float), list(masks))


def truth_of(*rows):
    frames, codes, masks = zip(*rows)
    boxes = np.zeros((len(rows), 4))
    return Truth(["v/1", "v/2"], frames, boxes, codes, sizes=[SIZE] * 2, masks=list(masks))


def test_best_masks_by_hand():
    truth = truth_of(
        (0, 17, columns(0, 10)),  # best: IoU .9
        (0, 17, columns(10, 20)),  # the same mask answers: none of it
        (1, 17, columns(0, 10)),  # IoU .5, which is not above .5
        (1, 61, columns(0, 4)),  # no prediction
    )
    found = results(
        (0, 17, 0.9, columns(0, 9)),
        (0, 17, 0.8, columns(10, 20)),
        (0, 18, 1.0, columns(0, 10)),  # another pair
        (1, 17, 0.3, columns(0, 5)),
        (1, 17, 0.3, columns(0, 10)),  # as sure as the one before
    )
    figures = best_masks.metrics_of(found, truth)
    overlap, union = 90 + 0 + 50 + 0, 100 + 190 + 100 + 40
    assert figures == pytest.approx(
        {
            **dict.fromkeys(("p50", "p60", "p70", "p80"), 25),
            "p90": 0,
            "overall_iou": 100 * overlap / union,
            "mean_iou": 100 * (0.9 + 0 + 0.5 + 0) / 4,
        }
    )
    assert set(best_masks.metrics_of(results(), truth).values()) == {0}
    assert best_masks.metrics_of(found.select(np.ones(5, bool)), truth) == {}
    assert best_masks.metrics_of(found, Truth(["v/1", "v/2"], [], [], [])) == {}
