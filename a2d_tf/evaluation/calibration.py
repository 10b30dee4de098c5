"""Calibration: whether a p(actor) or p(action) of .8 is right in eight cases of ten.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import suppression
from a2d_tf.evaluation.box_data import Detections, Truth, check

BINS = 15


def metrics_of(detections: Detections, truth: Truth, label_space: LabelSpace) -> dict:
    """Compare probabilities with how often they are right, over the instances that are found.

    An RoI stands for its most probable actor, with that actor's box and p(actor), and for the valid
    action of that actor with the highest pair score, with p(action). In each frame the boxes of all
    RoIs pass NMS in the order of p(actor), whatever their actors. A true instance is found by the
    first box left whose IoU with it is .5 or more, and each that is found counts once: p(actor) is
    right if the actor is its own, p(action) if the action is.

    Args:
      detections, truth, label_space: see `box_data.check`.

    Returns:
      {"actor" | "action": see `reliability`}.

    Raises:
      InputError: see `box_data.check`.
    """
    check(detections, truth, label_space)
    best = detections.actor_scores.argmax(axis=1)
    found = [
        suppression.pairs(
            chunk,
            detections.boxes[rois, best[rois]],
            detections.actor_scores[rois, best[rois]],
            truth.boxes,
        )
        for chunk in suppression.chunks(detections, truth)
        for rois in [chunk[0][chunk[0] >= 0]]
    ]
    nothing = np.zeros((2, 0), np.int64)  # there may be no RoI at all
    gts, rois = np.concatenate([nothing, *map(np.stack, found)], axis=1)
    actors = best[rois]
    actions = _actions(detections, rois, actors, label_space)
    true_actors, true_actions = label_space.split(truth.codes[gts])
    return {
        "actor": reliability(detections.actor_scores[rois, actors], actors + 1 == true_actors),
        "action": reliability(detections.action_scores[rois, actions], actions + 1 == true_actions),
    }


def reliability(probabilities: np.ndarray, right: np.ndarray) -> dict:
    """Compute the reliability diagram and the expected calibration error (ECE).

    Args:
      probabilities: float [N], of what was predicted.
      right: bool [N], whether it was true.

    Returns:
      {"ece", "count", "confidence", "accuracy"}: the ECE is the mean over the instances of the
      distance between the mean probability and the share of right ones of their bin, in percent
      (None without instances); the others are lists over BINS equal bins, (0, 1/15], (1/15, 2/15],
      ...: number, mean probability and share of right ones, in percent (None where it is empty).
    """
    probabilities = np.asarray(probabilities, np.float64)
    bins = np.clip(np.ceil(probabilities * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = np.bincount(bins, probabilities, BINS), np.bincount(bins, right, BINS)
    ece = 100 * float(np.abs(sums[0] - sums[1]).sum() / len(bins)) if len(bins) else None
    confidence, accuracy = (
        [100 * float(value / count) if count else None for value, count in zip(sum_, counts)]
        for sum_ in sums
    )
    return {
        "ece": ece,
        "count": counts.tolist(),
        "confidence": confidence,
        "accuracy": accuracy,
    }


def _actions(detections, rois, actors, label_space):
    """The best valid action of each RoI's actor: 0-based indices [n]."""
    actions = np.zeros(len(rois), int)
    for actor in np.unique(actors):
        valid = np.flatnonzero(label_space.valid[actor])
        chosen = np.flatnonzero(actors == actor)
        if len(valid):
            scores = detections.joint(rois[chosen], actor, valid)
            actions[chosen] = valid[scores.argmax(axis=1)]
    return actions
