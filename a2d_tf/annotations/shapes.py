"""Shapes of annotation tools as COCO segmentations: polygons, and RLEs of bitmaps."""

from __future__ import annotations

import math

import numpy as np

from a2d_tf.core.errors import InputError

_CORNERS = 96  # of an ellipse, whose area is then right to a thousandth


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """Return the polygon [x, y, ...] of a rectangle between two opposite corners."""
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float, *, angle: float = 0
) -> list[float]:
    """Return the polygon [x, y, ...] of an ellipse.

    Args:
      x, y: centre.
      radius_x, radius_y: half axes, along x and y before the turn.
      angle: turn in radians, from x to y.
    """
    turn = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    along, across = radius_x * np.cos(turn), radius_y * np.sin(turn)
    xs = x + along * math.cos(angle) - across * math.sin(angle)
    ys = y + along * math.sin(angle) + across * math.cos(angle)
    return np.stack([xs, ys], axis=1).ravel().tolist()


def bitmap(inside: np.ndarray, left: int, top: int, size: tuple[int, int]) -> dict:
    """Return the RLE of a bitmap that covers a part of an image.

    Args:
      inside: bool [h, w].
      left, top: the bitmap's corner in the image.
      size: (height, width) of the image.

    Raises:
      InputError: the bitmap leaves the image; names no file.
    """
    height, width = inside.shape
    if left < 0 or top < 0 or left + width > size[1] or top + height > size[0]:
        raise InputError(
            f"a mask of {width}x{height} at x {left}, y {top} leaves the image of "
            f"{size[1]}x{size[0]}; draw it again"
        )
    # Column by column, with background above and below: edges begin and end the runs of the mask.
    columns = np.zeros((width, height + 2), np.int8)
    columns[:, 1:-1] = inside.T
    x, y = np.nonzero(np.diff(columns))
    counts = np.diff((left + x) * size[0] + top + y, prepend=0, append=size[0] * size[1])
    return {"size": list(size), "counts": counts.tolist()}
