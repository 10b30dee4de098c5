"""Zero-shot figures: actor APs, the ratio, and the level of chance."""

import dataclasses

import numpy as np
import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics import zero_shot
from a2d_tf.evaluation.metrics.detection import voc_aps
from a2d_tf.evaluation.metrics.metric import SplitData

SPACE = LabelSpace(("man", "dog"), ("run", "eat"), (11, 12, 21, 22))


def case(count, seed=0):
    """Make one perfect RoI a frame; 'man' runs or eats in turn, the last is a dog."""
    names = [f"v/{i:05d}" for i in range(count + 1)]
    boxes = np.tile([0.0, 0, 10, 10], (count + 1, 1))
    action = np.append(np.arange(count) % 2, 0)
    actor = np.append(np.zeros(count, int), 1)
    truth = Truth(names, np.arange(count + 1), boxes, 10 * (actor + 1) + action + 1)
    detections = ScoredRois(
        names,
        np.arange(count + 1),
        np.repeat(boxes[:, None], 2, axis=1),
        np.where(np.eye(2)[actor] > 0, 0.9, 0.1),
        np.where(np.eye(2)[action] > 0, 0.8, 0.2),
    )
    return detections, truth


def test_scores_are_shuffled_among_the_rois_of_the_actor():
    detections, truth = case(8)
    movable, shuffled = np.arange(8), detections.action_scores.copy()
    shuffled[movable] = shuffled[np.random.default_rng(5).permutation(movable)]
    assert not np.array_equal(shuffled, detections.action_scores)
    by_hand = dataclasses.replace(detections, action_scores=shuffled)
    expected = zero_shot.actor_aps(voc_aps(by_hand, truth, SPACE)["per_pair_ap"], SPACE)
    once = zero_shot.chance(detections, truth, SPACE, 0, seed=5, shuffles=1)
    assert once == pytest.approx(expected["1"])
    # The only RoI of 'dog' has nobody to swap with: dog-running found, dog-eating
    # without truth.
    assert zero_shot.chance(detections, truth, SPACE, 1, seed=0) == pytest.approx(50)


def test_figures_of_an_actor_with_and_without_the_full_model():
    full, truth = case(60)
    # The zero-shot model has the right action first in every third frame of 'man' only.
    wrong = (np.arange(61) % 3 > 0) & (np.arange(61) < 60)
    scores = np.where(wrong[:, None], full.action_scores[:, ::-1], full.action_scores)
    ours = dataclasses.replace(full, action_scores=scores)
    split = SplitData(truth=truth, rois=ours, zero_shot_actor="man", seed=1)
    earlier = voc_aps(ours, truth, SPACE)
    metric = zero_shot.ZeroShot(SPACE)
    found = metric.result(split, earlier)
    figures = found["zero_shot"]
    assert figures == {
        "actor": "man",
        "ap": found["zero_shot_actor_ap"]["1"],
        "chance": zero_shot.chance(ours, truth, SPACE, 0, seed=1),
    }
    split = dataclasses.replace(split, full=full)
    compared = metric.result(split, earlier)["zero_shot"]
    assert compared.pop("full_ap") == pytest.approx(100)
    assert compared.pop("ratio") == pytest.approx(figures["ap"] / 100)
    assert compared == figures and 0 < figures["ap"] < 100
    others = dataclasses.replace(full, frames=[f"w/{i}" for i in range(61)])
    split = dataclasses.replace(split, full=others)
    with pytest.raises(InputError, match="detections: field 'frames': w/0"):
        metric.result(split, earlier)


def test_what_cannot_be_shuffled():
    detections, truth = case(2)
    detections.joint_scores = np.zeros((3, 2, 2))
    with pytest.raises(InputError, match="decoupled"):
        zero_shot.chance(detections, truth, SPACE, 0, seed=0)
