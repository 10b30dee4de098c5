"""The motion of the mini A2D: an action is a programme, the same for all actors.

A programme is an axis (horizontal, vertical or in-plane rotation) and a rule by which
the motion changes from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVELS = (3.0, 8.0)  # pixels a frame, averaged over the figure
JITTER = 0.15
TURN_RANGE = (5.0, 20.0)  # degrees a frame


class Programme(NamedTuple):
    """The axis of an action's motion, and the rule by which its steps change."""

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

    A step has one of two levels and a sign. `steady` keeps both, `stop-and-go` changes
    the level every frame, `to-and-fro` the sign. The first two turn back half-way
    between annotated frames, never within two frames of one, so that figures stay near
    their place for all actions.

    Args:
      action: name in A2D.
      frames: length of the clip.
      keys: 1-based annotated frames, equally spaced by at least 6.
      rng: numpy Generator.

    Returns:
      float64 [frames], signed pixels from the frame before; 0 for the first frame.
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
    """Convert steps in pixels to degrees, 5 to 20, by the figure's mean radius."""
    level = np.degrees(np.array(LEVELS) / radius)
    gain = np.clip(level, *TURN_RANGE) / LEVELS
    is_high = np.abs(steps) > LEVELS[0] * (1 + JITTER)
    return steps * gain[is_high.astype(int)]
