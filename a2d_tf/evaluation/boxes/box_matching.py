"""The overlap of boxes, and matches of found with true instances, one to one."""

from __future__ import annotations

import numpy as np

MATCH_IOU = 0.5
"""Least IoU of a found and a true instance that are matched."""


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of boxes, y1, x1, y2, x2.

    Args:
      boxes, others: [..., 4], of shapes that broadcast.

    Returns:
      float64 [...]; 0 if both boxes are empty.
    """
    boxes = np.asarray(boxes, float)
    others = np.asarray(others, float)
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    other_area = (others[..., 2:] - others[..., :2]).prod(axis=-1)
    union = area + other_area - overlap
    return np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)


def match(ious: np.ndarray) -> np.ndarray:
    """Match each found instance, the best first, to the nearest true one still free.

    Args:
      ious: float [N, T], of found and true instances; 0 for a pair that must not be
        matched.

    Returns:
      int [N], the true instance, whose IoU is MATCH_IOU or more, or -1.
    """
    free = np.where(ious < MATCH_IOU, 0, ious)
    matches = np.full(len(ious), -1)
    for i, row in enumerate(free):  # a view: it loses what earlier rows have taken
        if row.any():
            matches[i] = row.argmax()
            free[:, matches[i]] = 0
    return matches
