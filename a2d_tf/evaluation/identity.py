"""IDF1: for how many frames the one predicted track that fits a true one best is on it.

Source: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera
Tracking", ECCV Workshops 2016; details as in TrackEval 1.0.0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from a2d_tf.evaluation.assignment import assign
from a2d_tf.evaluation.scenes import Match, track_counts

MIN_IOU = 0.5


@dataclasses.dataclass(frozen=True)
class Counts:
    """Objects in frames, numbers that add up over videos.

    Attributes:
      right: true objects on which the predicted track of their own track is.
      missed: other true objects.
      extra: other predicted objects.
    """

    right: int = 0
    missed: int = 0
    extra: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.right + other.right, self.missed + other.missed, self.extra + other.extra
        )

    def figures(self) -> dict[str, float]:
        """Return IDF1, IDP (precision) and IDR (recall) in percent."""
        return {
            "idf1": 200 * self.right / max(2 * self.right + self.missed + self.extra, 1),
            "idp": 100 * self.right / max(self.right + self.extra, 1),
            "idr": 100 * self.right / max(self.right + self.missed, 1),
        }


def count(frames: Sequence[Match]) -> Counts:
    """Give each true track of a class in a video one predicted track, or none, for most `right`.

    An object is right where the two masks' IoU is MIN_IOU or more.
    """
    rows, columns = track_counts(frames)
    together = np.zeros((rows, columns), np.int64)
    for frame in frames:
        together[np.ix_(frame.rows, frame.columns)] += frame.iou >= MIN_IOU
    # A pair that never meets costs as much as no pair, so that all may be paired.
    right = int(together[assign(together)].sum())
    true = sum(len(frame.rows) for frame in frames)
    found = sum(len(frame.columns) for frame in frames)
    return Counts(right, true - right, found - right)
