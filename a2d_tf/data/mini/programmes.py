"""The motion of the mini A2D: each action is a programme, the same for all actors.

A programme has an axis (horizontal, vertical or rotation in the image's plane) and a
rule by which the motion changes from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVELS = (3.0, 8.0)  # pixels a frame, averaged over the figure
JITTER = 0.15
TURN_RANGE = (5.0, 20.0)  # degrees a frame


class Programme(NamedTuple):
    """How an action moves a figure from frame to frame.

    Attributes:
      axis: 'horizontal', 'vertical' or 'rotation'; None if the figure does not move.
      rule: how the steps change from frame to frame: 'still', 'steady', 'stop-and-go'
        or 'to-and-fro', see `draw_steps`.
    """

    axis: str | None
    rule: str


PROGRAMMES = {
    "walking": Programme("horizontal", "steady"),
    "running": Programme("horizontal", "stop-and-go"),
    "crawling": Programme("horizontal", "to-and-fro"),
    "climbing": Programme("vertical", "steady"),
    "flying": Programme("vertical", "stop-and-go"),
    "jumping": Programme("vertical", "to-and-fro"),
    "rolling": Programme("rotation", "steady"),
    "eating": Programme("rotation", "to-and-fro"),
    "none": Programme(None, "still"),
}


def draw_steps(
    action: str, frames: int, keys: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Draw the steps of an action along its axis.

    A step has one of two sizes and a sign. The rule `steady` keeps both, `stop-and-go`
    changes the size every frame, and `to-and-fro` changes the sign every frame. With
    the first two rules the motion turns back half-way between annotated frames, so that
    figures stay near their place, and never within two frames of an annotated one.

    Args:
      action: an action of A2D.
      frames: number of frames of the clip.
      keys: numbers of the annotated frames from 1, equally spaced by at least 6.
      rng: draws sizes, signs and jitter.

    Returns:
      signed motion from the previous frame, pixels, float64 [frames]; 0 for the first
      frame.
    """
    programme = PROGRAMMES[action]
    index = np.arange(frames)
    level = np.full(frames, rng.integers(2))
    sign = np.full(frames, rng.choice([-1, 1]))
    jitter = rng.uniform(1 - JITTER, 1 + JITTER, size=frames)
    if programme.rule == "stop-and-go":
        level = (level + index) % 2
    if programme.rule == "to-and-fro":
        sign = sign * (-1) ** index
    else:
        spacing = keys[1] - keys[0]
        for key in range(keys[0] - spacing, frames, spacing):
            # An odd spacing has no middle frame; choose either side.
            turn = key + spacing // 2 + rng.integers(1 + spacing % 2)
            sign = np.where(index >= turn, -sign, sign)
    moves = programme.axis is not None
    steps = sign * np.array(LEVELS)[level] * jitter * moves
    steps[0] = 0
    return steps


def turn_per_step(steps: np.ndarray, radius: float) -> np.ndarray:
    """Convert steps in pixels to rotations in degrees.

    Args:
      steps: steps as `draw_steps` returns them, pixels [frames].
      radius: mean distance of the figure's pixels from its pivot, in pixels.

    Returns:
      degrees [frames]; before jitter, a turn has 5 to 20 degrees.
    """
    level = np.degrees(np.array(LEVELS) / radius)
    gain = np.clip(level, *TURN_RANGE) / LEVELS
    is_high = np.abs(steps) > LEVELS[0] * (1 + JITTER)
    return steps * gain[is_high.astype(int)]
