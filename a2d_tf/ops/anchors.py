"""Anchors of the region proposal network (Lin et al. 2017), and how boxes fit them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

STRIDES = (4, 8, 16, 32, 64)
"""Image pixels per cell of P2..P6."""
RATIOS = (0.5, 1.0, 2.0)
"""Width / height of the anchors, as in matterport's code: 0.5 is tall."""
POSITIVE_IOU = 0.7
"""An anchor is positive from this IoU with an instance on (Ren et al. 2015)."""
NEGATIVE_IOU = 0.3
"""An anchor is negative if all its IoUs are below this value (Ren et al. 2015)."""
ROI_POSITIVE_IOU = 0.5
"""A RoI is positive from this IoU on, else it is background (Girshick 2015)."""


def generate(
    shapes: Sequence[tuple[int, int]], strides: Sequence[int], sizes: Sequence
) -> np.ndarray:
    """Return the anchors of all pyramid levels, one for each cell, size and ratio.

    The anchors of cell (i, j) are centred at (i * stride, j * stride).

    Args:
      shapes: (height, width) of each level's feature map.
      strides: image pixels per cell, for each level.
      sizes: one or several sizes for each level. A size is the square root of an
        anchor's area in pixels; anchors of all RATIOS have it.

    Returns:
      float32 [A, 4] (y1, x1, y2, x2), ordered by level, row, column, size, ratio.
    """
    levels = []
    for (rows, columns), stride, level_sizes in zip(shapes, strides, sizes):
        y, x = np.meshgrid(
            np.arange(rows) * stride, np.arange(columns) * stride, indexing="ij"
        )
        centres = np.stack([y, x], axis=-1)[:, :, None, :]
        halves = 0.5 * _sides(level_sizes)
        corners = np.concatenate([centres - halves, centres + halves], axis=-1)
        levels.append(corners.reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def best_overlaps(
    boxes: np.ndarray, frames: np.ndarray, strides: Sequence[int], sizes: Sequence
) -> np.ndarray:
    """Return the largest IoU of each box with an anchor.

    Anchors whose centre is outside the box's frame do not count.

    Args:
      boxes: [N, 4] (y1, x1, y2, x2), pixels of the canvas, not empty.
      frames: [N, 2], height and width of each box's frame, which starts at (0, 0).
      strides: image pixels per cell, for each level.
      sizes: one or several sizes for each level, see `generate`.

    Returns:
      float64 [N].
    """
    boxes = np.asarray(boxes, np.float64)
    frames = np.asarray(frames)
    box_areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    best = np.zeros(len(boxes))
    for stride, level_sizes in zip(strides, sizes):
        centres = stride * np.arange(-(-int(frames.max(initial=0)) // stride))
        for sides in _sides(level_sizes):
            # Anchors of one shape form a grid, so each axis can be maximised on its
            # own.
            intersection = np.ones(len(boxes))
            for axis, side in enumerate(sides):
                low = np.maximum(boxes[:, axis, None], centres - side / 2)
                high = np.minimum(boxes[:, axis + 2, None], centres + side / 2)
                shared = np.where(centres < frames[:, axis, None], high - low, 0)
                intersection *= shared.max(axis=1, initial=0)
            union = box_areas + sides.prod() - intersection
            best = np.maximum(best, intersection / union)
    return best


def _sides(sizes: Any) -> np.ndarray:
    """Return height and width of the anchors of one cell, [sizes * ratios, 2]."""
    ratios = np.sqrt(np.asarray(RATIOS, np.float64))
    sides = np.stack([1 / ratios, ratios], axis=-1)
    return (np.reshape(sizes, (-1, 1, 1)) * sides).reshape(-1, 2)
