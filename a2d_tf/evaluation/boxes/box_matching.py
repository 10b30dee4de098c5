"""The overlap of boxes, and one-to-one matches of found instances with true ones."""

from __future__ import annotations

import numpy as np

MATCH_IOU = 0.5
"""The least IoU with which a found instance is matched to a true one."""


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union (IoU) of boxes.

    Args:
      boxes: [..., 4], (y1, x1, y2, x2) in pixels.
      others: [..., 4], likewise, of a shape that broadcasts with that of `boxes`.

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
    """Match found instances to true ones, each to one at most.

    The found instances choose in order. Each takes the true instance with the highest
    IoU that no earlier one has taken, if that IoU is 0.5 or more.

    Args:
      ious: float [N, T], the IoU of each found instance, the best first, with each true
        instance; 0 for two that must not be matched, as of different labels.

    Returns:
      int [N], the index of the true instance that each found one is matched to; -1 for
      none.
    """
    free = np.where(ious < MATCH_IOU, 0, ious)
    matches = np.full(len(ious), -1)
    for i, row in enumerate(free):  # a view: it loses what earlier rows have taken
        if row.any():
            matches[i] = row.argmax()
            free[:, matches[i]] = 0
    return matches
