"""The weight of each group of features in the readout of actions.

The groups are the appearance of the key frame and those of motion maps. Which of them
tells actions apart depends on the actions: a posture shows in a frame, a walk only in
several. By default an action backbone, if there is one, counts twice as much as any
other group. The labels of left-out videos shift that, the more of them there are
(docs/real_video.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.model.readout import ridge
from a2d_tf.model.readout.ridge import Hyperparameters
from a2d_tf.ops.motion_maps import BACKBONE_MAPS

APPEARANCE = "appearance"
"""The group of the key frame's features; other groups are of `motion_maps.groups`."""
_PENALTIES = (0.01, ridge.PENALTY, 0.1)
_STEPS = 4  # weights of candidates are multiples of a quarter
# A candidate's log probability falls by so much, times its squared distance from the
# default.
_PRIOR = 6.0
_LEAST_WEIGHT = 0.02  # a group with less weight is not read


class GroupWeights(NamedTuple):
    """The chosen weights of groups of features in the readout of actions.

    Attributes:
      hyperparameters: the weights of all groups, in their order, and the penalty.
      summary: a sentence that says how well each group labels actions in left-out
        videos; "" if there is one group, or the videos are too few to tell.
    """

    hyperparameters: Hyperparameters
    summary: str


def choose(
    groups: Mapping[str, np.ndarray],
    labels: np.ndarray,
    count: int,
    videos: np.ndarray,
) -> GroupWeights:
    """Choose how much each group of features counts in the readout of actions.

    The readout labels boxes by ridge regression on features of public weights. Left-out
    videos decide: actions in each video are predicted by fits to the others. With fewer
    than eight videos, the default stays: an action backbone counts twice as much as any
    other group.

    Args:
      groups: {name: features of the true boxes of n instances, [n, D]}: APPEARANCE,
        then groups of motion maps.
      labels: int [n], 0-based actions; -1 for an instance without a label, which is
        left out.
      count: |Y|, the number of actions.
      videos: [n], the names of the videos that show the instances.

    Returns:
      the weights of all groups in the order of `groups`, the penalty, and a sentence on
      them.
    """
    default = _default_hyperparameters(groups)
    if len(groups) == 1:
        return GroupWeights(default, summary="")
    training_set = ridge.TrainingSet.of([*groups.values()], labels, count, videos)
    if training_set is None:
        return GroupWeights(default, summary="")
    mean = average_candidates(training_set, default, _candidates(len(groups)))
    if mean is None:
        return GroupWeights(default, summary="")

    skills = []
    for index, name in enumerate(groups):
        alone = Hyperparameters(tuple(np.eye(len(groups))[index]))
        percent = 100 * _skill(training_set, alone)
        skills.append(f"{name.replace('_', ' ')} alone {percent:.0f}")
    skills.append(f"together {100 * _skill(training_set, mean):.0f}")
    summary = f"actions in videos left out: {', '.join(skills)} of 100 (0 is chance)"
    return GroupWeights(mean, summary)


def average_candidates(
    training_set: ridge.TrainingSet,
    default: Hyperparameters,
    candidates: Sequence[Hyperparameters],
) -> Hyperparameters | None:
    """Return the mean of candidate hyperparameters, each weighted by its probability.

    The probability follows from the likelihood of the labels of left-out videos, with
    one observation for each video. So few videos do not choose a candidate by chance,
    and many leave one of them. Candidates near the default are a little more probable.

    Args:
      training_set: the labelled instances, with all groups of features.
      default: the weights of groups that are used without evidence.
      candidates: the weights of groups and penalties to average.

    Returns:
      the arithmetic mean of the weights, tiny ones set to 0, and the geometric mean of
      the penalties; None if there are fewer than eight videos.
    """
    products = [training_set.products(i) for i in range(len(training_set.groups))]
    log_probabilities = []
    for candidate in candidates:
        joined = np.zeros_like(products[0])
        for weight, of_group in zip(candidate.group_weights, products):
            joined += weight * of_group
        left_out = ridge.predict_left_out(training_set, joined, candidate.penalty)
        if not left_out.is_enough:
            return None
        likelihood = left_out.num_videos * left_out.log_likelihood(
            left_out.inverse_temperature()
        )
        difference = np.subtract(candidate.group_weights, default.group_weights)
        log_probabilities.append(likelihood - _PRIOR * np.square(difference).sum())
    probabilities = np.exp(np.array(log_probabilities) - max(log_probabilities))
    probabilities /= probabilities.sum()
    weights = [candidate.group_weights for candidate in candidates]
    means = probabilities @ np.array(weights)
    means[means < _LEAST_WEIGHT] = 0.0
    means /= means.sum()
    penalties = [candidate.penalty for candidate in candidates]
    penalty = np.exp(probabilities @ np.log(penalties))
    return Hyperparameters(tuple(means.tolist()), float(penalty))


def _default_hyperparameters(groups: Iterable[str]) -> Hyperparameters:
    """Return the hyperparameters that did well on several data sets.

    An action backbone counts twice as much as any other group.
    """
    parts = [2 if name in BACKBONE_MAPS else 1 for name in groups]
    return Hyperparameters(tuple(part / sum(parts) for part in parts))


def _candidates(number: int) -> list[Hyperparameters]:
    """Return candidate hyperparameters; in none of them one group has all the weight.

    Args:
      number: number of groups.
    """
    candidates = []
    for quarters in itertools.product(range(_STEPS + 1), repeat=number):
        if sum(quarters) == _STEPS and max(quarters) < _STEPS:
            weights = tuple(quarter / _STEPS for quarter in quarters)
            for penalty in _PENALTIES:
                candidates.append(Hyperparameters(weights, penalty))
    return candidates


def _skill(training_set: ridge.TrainingSet, hyperparameters: Hyperparameters) -> float:
    """Return the skill of a fit; 0 if chance is better. The videos must be enough."""
    fit = ridge.fit(training_set, hyperparameters)
    skill = fit.left_out_predictions().skill()
    assert skill is not None
    return max(0.0, skill)
