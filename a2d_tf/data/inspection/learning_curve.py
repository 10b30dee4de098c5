"""How many annotated frames are likely to be enough, from trainings on the mini A2D.

Frames are compared as frames a pair, for what is learned must be seen. The network is small and the
figures are drawn, so the sentences say 'about'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

PAIRS = 43
"""Pairs of the mini A2D."""
CURVE: dict[int, float] = {8: 2.2, 32: 4.1, 128: 18.1, 256: 26.6, 512: 32.4}
"""{annotated frames in training: joint mIoU of the test split, percent}: 600 steps of
configs/mini.flags without zoom, one seed (docs/experiments.md)."""
_SHARE = 0.9  # of what most frames reach that is enough


def expected(frames: float, curve: Mapping[int, float] = CURVE) -> float:
    """Return the curve at a number of frames, linear in its logarithm and level past the ends."""
    points = sorted(curve.items())
    for (low, before), (high, after) in zip(points, points[1:]):
        if frames <= high:
            share = math.log(max(frames, low) / low) / math.log(high / low)
            return before + share * (after - before)
    return points[-1][1]


def enough(curve: Mapping[int, float] = CURVE) -> int:
    """Return the least measured number of frames with nine tenths of what the most reach."""
    return min(n for n, value in curve.items() if value >= _SHARE * curve[max(curve)])


def text(frames: int, pairs: int, curve: Mapping[int, float] = CURVE) -> str:
    """Say whether so many annotated frames of so many pairs are likely to be enough.

    Args:
      frames: of the training split, with annotations; pairs: of the label space; curve: as CURVE.
    """
    wanted = _two_digits(enough(curve) * pairs / PAIRS)
    there = frames * PAIRS / pairs
    verdict = "likely to be enough" if frames >= wanted else "likely to be too few"
    most = max(curve)
    return (
        f"{frames} annotated frames for {pairs} pairs are {verdict}: on the mini A2D, with as many "
        f"a pair, joint mIoU was about {expected(there, curve):.0f} %; with the most tried, "
        f"{_two_digits(most * pairs / PAIRS)} frames for {pairs} pairs, {curve[most]:.0f} %; nine "
        f"tenths of that took about {wanted} (docs/experiments.md). More still helps there, and "
        "real video needs more"
    )


def _two_digits(number):
    return max(1, int(float(f"{number:.2g}")))
