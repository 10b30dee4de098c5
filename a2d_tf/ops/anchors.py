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
    """Return the RPN's anchors of all pyramid levels, one per cell, size and ratio.

    The anchors of cell (i, j) are centred at (y, x) = (i * stride, j * stride), as in
    matterport's Mask R-CNN. They are not clipped to the image.

    Args:
      shapes: (height, width) of each level's feature map, the finest level first.
      strides: image pixels per cell, for each level, such as STRIDES.
      sizes: for each level one size or a sequence of sizes. A size is the square root
        of an anchor's area in pixels; each size is combined with each of RATIOS.

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
    """Return the IoU of each box with the anchor that fits it best.

    This tells before training whether anchor sizes suit a dataset: a box whose IoU is
    below POSITIVE_IOU has no positive anchor by that rule. The anchors are those that
    `generate` would return, except anchors whose centre is outside the box's frame.

    Args:
      boxes: [N, 4] (y1, x1, y2, x2), pixels of the canvas, not empty.
      frames: [N, 2], height and width in pixels of the frame that each box lies in,
        without the canvas's padding. A frame starts at (0, 0) of the canvas.
      strides: image pixels per cell, for each pyramid level.
      sizes: for each level one size or a sequence of sizes: square roots of anchors'
        areas, pixels.

    Returns:
      float64 [N], the largest IoU of each box.
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
