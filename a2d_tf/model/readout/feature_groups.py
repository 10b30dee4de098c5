"""How much each group of the readout's features counts for actions.

Groups are the appearance of the key frame and those of motion maps. Which of them knows
the actions depends on these: a posture shows in a frame, a walk only in several. Half
of the whole is an action backbone's, if there is one; videos that are left out of the
fit shift that, more where they are many (docs/real_video.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from a2d_tf.model.readout import ridge
from a2d_tf.model.readout.ridge import Strength
from a2d_tf.ops.motion_maps import BACKBONE_MAPS

APPEARANCE = "appearance"
"""The group of the key frame's features; other groups are of `motion_maps.groups`."""
_PENALTIES = (0.01, ridge.PENALTY, 0.1)
_STEPS = 4  # shares are multiples of a quarter


class Choice(NamedTuple):
    """How much groups count.

    Attributes:
      strength: with the shares of all groups, in their order.
      worth: a sentence of what each group knows of the labels of videos left out; ""
        if there is one group, or too few videos to tell.
    """

    strength: Strength
    worth: str


def choose(
    groups: Mapping[str, np.ndarray],
    labels: np.ndarray,
    count: int,
    videos: np.ndarray,
) -> Choice:
    """Weigh the groups by videos left out, if these are enough.

    Args:
      groups: {name: features [n, D]} of true boxes.
      labels, count, videos: as of `ridge.Instances.of`.
    """
    usual = _usual_strength(groups)
    if len(groups) == 1:
        return Choice(usual, worth="")
    instances = ridge.Instances.of([*groups.values()], labels, count, videos)
    if instances is None:
        return Choice(usual, worth="")
    strength = ridge.likely_strength(instances, usual, _candidates(len(groups)))
    if strength is None:
        return Choice(usual, worth="")

    known = []
    for index, name in enumerate(groups):
        shares = tuple(np.eye(len(groups))[index])
        skill = _skill(instances, Strength(shares))
        known.append(f"{name.replace('_', ' ')} alone {100 * skill:.0f}")
    together = _skill(instances, strength)
    known.append(f"together {100 * together:.0f}")
    worth = f"actions in videos left out: {', '.join(known)} of 100 (0 is chance)"
    return Choice(strength, worth)


def _usual_strength(groups: Iterable[str]) -> Strength:
    """Return the strength that did well on all of several data sets."""
    parts = [2 if name in BACKBONE_MAPS else 1 for name in groups]
    return Strength(tuple(part / sum(parts) for part in parts))


def _candidates(number: int) -> list[Strength]:
    """Return what is tried for a number of groups; no group counts alone."""
    candidates = []
    for counts in itertools.product(range(_STEPS + 1), repeat=number):
        if sum(counts) == _STEPS and max(counts) < _STEPS:
            shares = tuple(count / _STEPS for count in counts)
            for penalty in _PENALTIES:
                candidates.append(Strength(shares, penalty))
    return candidates


def _skill(instances: ridge.Instances, strength: Strength) -> float:
    """Return the skill of a fit to enough videos; 0 if chance is better."""
    skill = ridge.skill(ridge.fit(instances, strength).left_out)
    assert skill is not None
    return max(0.0, skill)
