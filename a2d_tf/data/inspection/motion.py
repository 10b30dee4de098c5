"""How fast the instances of records move, for the choice of the clips' stride."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STILL = 0.05
"""Pixels a frame below which nothing can be said to move: flow of 8 bits, on compressed video."""
_WANTED = 0.5  # pixels from one clip frame to the next
_LONGEST = 4  # stride; three frames then span a third of a second of 25 frames


def speeds(flow: np.ndarray, masks: np.ndarray) -> list[float]:
    """Return the mean length of flow in each instance.

    Args:
      flow: float [h, w, 2], (u, v) in pixels; masks: 0/1 [N, h, w], those empty give nothing.
    """
    lengths = np.linalg.norm(flow, axis=-1)
    return [float(lengths[mask != 0].mean()) for mask in masks if mask.any()]


def clip_stride(speeds: Sequence[float], stride: int = 1) -> int:
    """Return the stride at which the median instance moves half a pixel between clip frames.

    Flow is of one frame to the next at any stride: what grows is how far apart the frames are that
    the convolutions over time compare.

    Args:
      speeds: of the instances, pixels a frame.
      stride: that of the records, which is kept where it suffices or nothing moves.
    """
    speed = float(np.median(speeds)) if len(speeds) else 0.0
    if speed < STILL:
        return stride
    return max(stride, min(_LONGEST, int(np.ceil(_WANTED / speed))))
