"""HOTA: how well objects are found and how well they are followed, in equal parts.

Source: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV
2021; details as in its authors' TrackEval 1.0.0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from a2d_tf.evaluation.assignment import assign
from a2d_tf.evaluation.scenes import Match, track_counts

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Least IoUs of a match; every figure is the mean over them."""
_EPSILON = np.finfo(float).eps


@dataclasses.dataclass(frozen=True)
class Counts:
    """Counts at each of ALPHAS, float64 [19], that add up over videos.

    Attributes:
      matched, missed, extra: true objects with and without a match, predicted ones without.
      located: sum of the IoUs of the matches.
      associated: sum over the matches of the share of frames, among those in which the true or the
        predicted track is seen, in which the two are matched to each other.
    """

    matched: np.ndarray
    missed: np.ndarray
    extra: np.ndarray
    located: np.ndarray
    associated: np.ndarray

    def __add__(self, other: Counts) -> Counts:
        fields = (field.name for field in dataclasses.fields(self))
        return Counts(*(getattr(self, name) + getattr(other, name) for name in fields))

    @classmethod
    def none(cls) -> Counts:
        """Return the counts of nothing."""
        return cls(*np.zeros((5, len(ALPHAS))))

    def figures(self) -> dict[str, float]:
        """Return HOTA, DetA, AssA and LocA in percent; LocA is 100 where nothing is matched."""
        detection = self.matched / np.maximum(self.matched + self.missed + self.extra, 1)
        association = self.associated / np.maximum(self.matched, 1)
        location = np.divide(
            self.located, self.matched, out=np.ones(len(ALPHAS)), where=self.matched > 0
        )
        values = {
            "hota": np.sqrt(detection * association),
            "det_a": detection,
            "ass_a": association,
            "loc_a": location,
        }
        return {name: 100 * float(value.mean()) for name, value in values.items()}


def count(frames: Sequence[Match]) -> Counts:
    """Match the objects of one class in a video.

    One assignment in each frame serves all of ALPHAS. It prefers pairs whose tracks overlap much in
    the whole video: IoU times an alignment of the two tracks, itself a Jaccard index of soft
    matches over the video.
    """
    rows, columns = track_counts(frames)
    soft = np.zeros((rows, columns))
    lengths, other_lengths = np.zeros(rows), np.zeros(columns)
    for frame in frames:
        total = frame.iou.sum(axis=0) + frame.iou.sum(axis=1, keepdims=True) - frame.iou
        share = np.divide(frame.iou, total, out=np.zeros_like(total), where=total > _EPSILON)
        soft[np.ix_(frame.rows, frame.columns)] += share
        lengths[frame.rows] += 1
        other_lengths[frame.columns] += 1
    aligned = soft / (lengths[:, None] + other_lengths - soft)

    together = np.zeros((len(ALPHAS), rows, columns))
    matched, located = np.zeros((2, len(ALPHAS)))
    for frame in frames:
        pairs = np.ix_(frame.rows, frame.columns)
        i, k = assign(aligned[pairs] * frame.iou)
        iou = frame.iou[i, k]
        hits = iou >= ALPHAS[:, None] - _EPSILON
        matched += hits.sum(axis=1)
        located += (hits * iou).sum(axis=1)
        together[:, frame.rows[i], frame.columns[k]] += hits
    either = np.maximum(lengths[:, None] + other_lengths - together, 1)
    return Counts(
        matched=matched,
        missed=lengths.sum() - matched,
        extra=other_lengths.sum() - matched,
        located=located,
        associated=(together**2 / either).sum(axis=(1, 2)),
    )
