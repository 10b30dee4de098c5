"""Anchors of the region proposal network (Lin et al. 2017); overlap with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

STRIDES = (4, 8, 16, 32, 64)
"""Image pixels per cell of P2..P6."""
RATIOS = (0.5, 1.0, 2.0)
"""Width / height, so 0.5 is tall (matterport's sense)."""
POSITIVE_IOU = 0.7
"""IoU with an instance from which an anchor is positive (Ren et al. 2015)."""
NEGATIVE_IOU = 0.3
"""IoU with all instances below which an anchor is negative (Ren et al. 2015)."""
ROI_POSITIVE_IOU = 0.5
"""IoU from which a RoI is positive; else it is background (Girshick 2015)."""


def generate(
    shapes: Sequence[tuple[int, int]], strides: Sequence[int], sizes: Sequence
) -> np.ndarray:
    """Return the anchors of all pyramid levels: at each cell, those of all RATIOS.

    Centres lie at (i * stride, j * stride).

    Args:
      shapes: per level, (height, width) of the feature map.
      strides: per level, image pixels per cell.
      sizes: per level, one or several; a size is the square root of the anchors' area
        in pixels, the same for each ratio.

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
    """Return the largest IoU of each box with an anchor that is centred in its frame.

    Args:
      boxes: [N, 4] (y1, x1, y2, x2), pixels of the canvas, not empty.
      frames: [N, 2] height and width of each box's frame, which starts at (0, 0).
      strides, sizes: see `generate`.

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
    """Return (height, width) of the anchors at a cell: [sizes * ratios, 2]."""
    ratios = np.sqrt(np.asarray(RATIOS, np.float64))
    sides = np.stack([1 / ratios, ratios], axis=-1)
    return (np.reshape(sizes, (-1, 1, 1)) * sides).reshape(-1, 2)
