"""Non-maximum suppression of boxes, of many frames at once.

A box is suppressed if a better one of its frame is kept with which it has an IoU above
3/10.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NMS_IOU = 3, 10
"""The fraction 3/10, the IoU above which the worse of two boxes is suppressed."""
_STEPS = 32  # after so many steps the boxes that are left move to the front


class _Planes(NamedTuple):
    """The boxes of F frames, one plane for each edge, and their weighted areas.

    Attributes:
      top: float32 [F, N], the upper edges; left, bottom and right likewise.
      area: [F, N], the areas of the boxes, times the numerator of NMS_IOU.
    """

    top: np.ndarray
    left: np.ndarray
    bottom: np.ndarray
    right: np.ndarray
    area: np.ndarray

    @classmethod
    def of(cls, boxes: np.ndarray) -> _Planes:
        """Return the planes of boxes [F, N, 4], y1, x1, y2, x2."""
        top, left, bottom, right = np.ascontiguousarray(np.moveaxis(boxes, 2, 0))
        numerator, _ = NMS_IOU
        area = numerator * (right - left) * (bottom - top)
        return cls(top, left, bottom, right, area)

    def take(self, indices: np.ndarray) -> _Planes:
        """Return the boxes at indices [F, n] of each frame."""
        rows = np.arange(len(indices))[:, None]
        return _Planes(
            top=self.top[rows, indices],
            left=self.left[rows, indices],
            bottom=self.bottom[rows, indices],
            right=self.right[rows, indices],
            area=self.area[rows, indices],
        )

    def overlap_much(self, other: _Planes) -> np.ndarray:
        """Return which boxes have an IoU above NMS_IOU with another: bool [F, N].

        IoU > p/q is tested as (p + q) * overlap > p * (sum of both areas), which is
        exact for whole pixels and holds for empty boxes.

        Args:
          other: a box of each frame, [F, 1].
        """
        numerator, denominator = NMS_IOU
        height = np.minimum(self.bottom, other.bottom) - np.maximum(self.top, other.top)
        width = np.minimum(self.right, other.right) - np.maximum(self.left, other.left)
        # Clipping one factor suffices: a negative overlap never exceeds a sum of areas.
        overlap = np.maximum(height, 0) * width
        return overlap * (numerator + denominator) > self.area + other.area


def suppress(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Suppress boxes that have an IoU above 3/10 with a better box that is kept.

    Frames do not affect each other.

    Args:
      boxes: float32 [F, N, 4], the boxes of F frames, (y1, x1, y2, x2) in pixels.
      scores: [F, N], the scores of the boxes, -inf in the rows that a frame with fewer
        than N boxes does not use; of equal scores the first is better.

    Returns:
      bool [F, N], whether each box is kept.
    """
    frames = np.arange(len(scores))
    kept = np.zeros(scores.shape, bool)
    # The boxes of each frame, the best first, and which of them are left.
    order = np.argsort(-scores, axis=1, kind="stable")
    left = np.take_along_axis(scores, order, axis=1) > -np.inf
    planes = _Planes.of(boxes[frames[:, None], order])
    while left.any():
        # The boxes that are left move to the front, so that later steps are shorter.
        most = left.sum(axis=1).max()
        front = np.argsort(~left, axis=1, kind="stable")[:, :most]
        order = np.take_along_axis(order, front, axis=1)
        left = np.take_along_axis(left, front, axis=1)
        planes = planes.take(front)
        for _ in range(_STEPS):
            best = left.argmax(axis=1)
            kept[frames, order[frames, best]] |= left[frames, best]
            left[frames, best] = False
            left &= ~planes.overlap_much(planes.take(best[:, None]))
    return kept
