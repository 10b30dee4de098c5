"""HOTA and IDF1: how well objects are found, and followed with one identity.

Sources: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object
Tracking", IJCV 2021; Ristani et al., "Performance Measures and a Data Set for
Multi-Target, Multi-Camera Tracking", ECCV Workshops 2016; details as in TrackEval
1.0.0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import lap
import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics.tracks import TRACK_KINDS, ComparedFrame, classes_of

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""The 19 thresholds of HOTA, .05 to .95: the least IoU of a match.

Every figure of HOTA is the mean over them.
"""
IDENTITY_IOU = 0.5
"""Least IoU with which an object of a predicted track counts as the true one in IDF1.
"""
NAMES = ("hota", "det_a", "ass_a", "loc_a", "idf1", "idp", "idr")
"""The figures: HOTA and its parts DetA, AssA, LocA; IDF1 and its precision and recall.
"""
_EPSILON = np.finfo(float).eps


class ClassFrame(NamedTuple):
    """The objects of one class in a frame: N true ones and M predicted ones.

    Attributes:
      true_tracks: int64 [N], the track of each true object; the tracks of the class in
        a video are numbered from 0.
      predicted_tracks: int64 [M], the track of each predicted object, likewise.
      iou: float64 [N, M], the IoU of each true with each predicted mask.
    """

    true_tracks: np.ndarray
    predicted_tracks: np.ndarray
    iou: np.ndarray


def tracking_scores(
    videos: Sequence[Sequence[ComparedFrame]], labels: LabelSpace
) -> dict:
    """Compute HOTA and IDF1 of videos, for actors, actions, pairs and all objects.

    The figures of a kind are means over its classes with true objects. In the kind
    "any" all objects are of one class, so that labels do not count.

    Args:
      videos: the frames of each video, in order.
      labels: the label space of the codes.

    Returns:
      {"videos": their number, "frames": their number, and each of "any", "actor",
      "action" and "joint": {"hota", "det_a", "ass_a", "loc_a", "idf1", "idp", "idr":
      percent, None if there is no true object}}.
    """
    scores: dict = {"videos": len(videos), "frames": sum(map(len, videos))}
    for kind in TRACK_KINDS:
        by_class = figures_by_class(videos, kind, labels)
        means: dict[str, float | None] = dict.fromkeys(NAMES)
        if by_class:
            for name in NAMES:
                values = [figures[name] for figures in by_class.values()]
                means[name] = float(np.mean(values))
        scores[kind] = means
    return scores


def figures_by_class(
    videos: Sequence[Sequence[ComparedFrame]], kind: str, labels: LabelSpace
) -> dict[int, dict[str, float]]:
    """Compute HOTA and IDF1 of each class of a kind that has true objects.

    Args:
      videos: the frames of each video, in order.
      kind: which classes: "actor", "action", "joint" (their pairs), or "any".
      labels: the label space of the codes.

    Returns:
      {number of a class, see `classes_of`: {"hota", "det_a", "ass_a", "loc_a", "idf1",
      "idp", "idr": percent}}.
    """
    present: set[int] = set()
    for frames in videos:
        for frame in frames:
            classes = classes_of(kind, frame.truth.codes.astype(int), labels)
            present.update(classes.tolist())
    figures = {}
    for number in sorted(present - {0}):
        of_number = [of_class(frames, kind, number, labels) for frames in videos]
        figures[number] = class_figures(of_number)
    return figures


def of_class(
    frames: Iterable[ComparedFrame], kind: str, number: int, labels: LabelSpace
) -> list[ClassFrame]:
    """Select the objects of one class in a video, and number their tracks from 0.

    As in every benchmark of tracking, a true object is of one class and meets
    predictions of that class alone; an object whose class changes is one track in each
    of its classes.

    Args:
      frames: the frames of the video, in order.
      kind: which classes: "actor", "action", "joint" (their pairs), or "any".
      number: the number of the class, see `classes_of`.
      labels: the label space of the codes.

    Returns:
      the objects of the class in each frame that has any; empty if none has.
    """
    selected = []
    for frame in frames:
        truth = frame.truth
        predicted = frame.predicted
        rows = np.flatnonzero(classes_of(kind, truth.codes, labels) == number)
        columns = np.flatnonzero(classes_of(kind, predicted.codes, labels) == number)
        if len(rows) or len(columns):
            selected.append(
                ClassFrame(
                    true_tracks=truth.tracks[rows],
                    predicted_tracks=predicted.tracks[columns],
                    iou=frame.iou[np.ix_(rows, columns)],
                )
            )
    if not selected:
        return []
    true_tracks = np.unique(np.concatenate([f.true_tracks for f in selected]))
    predicted_tracks = np.unique(np.concatenate([f.predicted_tracks for f in selected]))
    numbered = []
    for class_frame in selected:
        numbered.append(
            ClassFrame(
                np.searchsorted(true_tracks, class_frame.true_tracks),
                np.searchsorted(predicted_tracks, class_frame.predicted_tracks),
                class_frame.iou,
            )
        )
    return numbered


def class_figures(videos: Iterable[Sequence[ClassFrame]]) -> dict[str, float]:
    """Compute HOTA and IDF1 of one class.

    Counts add up over the videos, as in TrackEval. LocA is 100 if nothing is matched.

    Args:
      videos: for each video the objects of the class in its frames, see `of_class`.

    Returns:
      {"hota", "det_a", "ass_a", "loc_a" (HOTA and its parts), "idf1", "idp", "idr"
      (IDF1, its precision, its recall): percent}.
    """
    hota_counts = HotaCounts()
    identities = IdentityCounts()
    for frames in videos:
        if frames:
            hota_counts.add(frames)
            identities.add(frames)
    return {**hota_counts.figures(), **identities.figures()}


class _Alignment(NamedTuple):
    """How well N true tracks of a video fit M predicted ones, whatever is matched.

    Attributes:
      jaccard: float64 [N, M], the Jaccard index of soft matches over the video.
      true_lengths: float64 [N], the number of frames that show each true track.
      predicted_lengths: float64 [M], the number of frames that show each predicted
        track.
    """

    jaccard: np.ndarray
    true_lengths: np.ndarray
    predicted_lengths: np.ndarray

    @classmethod
    def of(cls, frames: Sequence[ClassFrame]) -> _Alignment:
        """Return the alignment of the tracks of a video."""
        true_count = _track_count([frame.true_tracks for frame in frames])
        predicted_count = _track_count([frame.predicted_tracks for frame in frames])
        true_lengths = np.zeros(true_count)
        predicted_lengths = np.zeros(predicted_count)
        soft_matches = np.zeros((true_count, predicted_count))
        for frame in frames:
            iou = frame.iou
            total = iou.sum(axis=0) + iou.sum(axis=1, keepdims=True) - iou
            share = np.divide(
                iou, total, out=np.zeros_like(total), where=total > _EPSILON
            )
            soft_matches[np.ix_(frame.true_tracks, frame.predicted_tracks)] += share
            true_lengths[frame.true_tracks] += 1
            predicted_lengths[frame.predicted_tracks] += 1
        lengths = true_lengths[:, None] + predicted_lengths
        jaccard = soft_matches / (lengths - soft_matches)
        return cls(jaccard, true_lengths, predicted_lengths)

    def lengths(self) -> np.ndarray:
        """Return the lengths of both tracks of each pair together: float64 [N, M]."""
        return self.true_lengths[:, None] + self.predicted_lengths


def _zeros() -> np.ndarray:
    return np.zeros(len(ALPHAS))


@dataclasses.dataclass
class HotaCounts:
    """Counts of the objects of one class at each of ALPHAS, float64 [19] each.

    Attributes:
      matched: the number of matches.
      missed: the number of true objects without a match.
      extra: the number of predicted objects without a match.
      located: the sum of the IoUs of the matches.
      associated: the sum over the matches of a share of frames. Of the frames in which
        the true or the predicted track is seen, it is the share in which the two are
        matched to each other.
    """

    matched: np.ndarray = dataclasses.field(default_factory=_zeros)
    missed: np.ndarray = dataclasses.field(default_factory=_zeros)
    extra: np.ndarray = dataclasses.field(default_factory=_zeros)
    located: np.ndarray = dataclasses.field(default_factory=_zeros)
    associated: np.ndarray = dataclasses.field(default_factory=_zeros)

    def add(self, frames: Sequence[ClassFrame]) -> None:
        """Match the true to the predicted objects of a video, and add to the counts.

        The counts are of matches at each least IoU of .05, .1, …, .95 (ALPHAS). One
        assignment in each frame serves all of these. It prefers two objects whose
        tracks overlap much in the whole video: their score is their IoU times the
        alignment of the two tracks.

        Args:
          frames: the objects of the class in the frames of the video, at least one
            frame.
        """
        alignment = _Alignment.of(frames)
        matched = _zeros()
        located = _zeros()
        # The number of frames in which two tracks are matched, at each of ALPHAS.
        together = np.zeros((len(ALPHAS), *alignment.jaccard.shape))
        for frame in frames:
            pairs = np.ix_(frame.true_tracks, frame.predicted_tracks)
            rows, columns = assign(alignment.jaccard[pairs] * frame.iou)
            iou = frame.iou[rows, columns]
            hits = iou >= ALPHAS[:, None] - _EPSILON
            matched += hits.sum(axis=1)
            located += (hits * iou).sum(axis=1)
            true_tracks = frame.true_tracks[rows]
            predicted_tracks = frame.predicted_tracks[columns]
            together[:, true_tracks, predicted_tracks] += hits
        either = np.maximum(alignment.lengths() - together, 1)

        self.matched += matched
        self.missed += alignment.true_lengths.sum() - matched
        self.extra += alignment.predicted_lengths.sum() - matched
        self.located += located
        self.associated += (together**2 / either).sum(axis=(1, 2))

    def figures(self) -> dict[str, float]:
        """Compute HOTA and its parts from the counts.

        Returns:
          {"hota", "det_a" (detection), "ass_a" (association), "loc_a" (location):
          percent}, means over the least IoUs .05, .1, …, .95.
        """
        everything = self.matched + self.missed + self.extra
        detection = self.matched / np.maximum(everything, 1)
        association = self.associated / np.maximum(self.matched, 1)
        location = np.divide(
            self.located,
            self.matched,
            out=np.ones(len(ALPHAS)),
            where=self.matched > 0,
        )
        hota = np.sqrt(detection * association)
        return {
            "hota": 100 * float(hota.mean()),
            "det_a": 100 * float(detection.mean()),
            "ass_a": 100 * float(association.mean()),
            "loc_a": 100 * float(location.mean()),
        }


@dataclasses.dataclass
class IdentityCounts:
    """Counts of the objects of one class, for IDF1.

    Attributes:
      right: the number of true objects that lie on the predicted track of their own
        track, with an IoU of IDENTITY_IOU or more.
      true: the number of true objects.
      predicted: the number of predicted objects.
    """

    right: int = 0
    true: int = 0
    predicted: int = 0

    def add(self, frames: Sequence[ClassFrame]) -> None:
        """Pair the true with the predicted tracks of a video, and add to the counts.

        A track is paired with one other at most. The pairs are chosen so that as many
        true objects as possible are right: lie, with an IoU of .5 or more, on the
        predicted track that is paired with their own.

        Args:
          frames: the objects of the class in the frames of the video, at least one
            frame.
        """
        true_count = _track_count([frame.true_tracks for frame in frames])
        predicted_count = _track_count([frame.predicted_tracks for frame in frames])
        together = np.zeros((true_count, predicted_count), np.int64)
        for frame in frames:
            near = frame.iou >= IDENTITY_IOU
            together[np.ix_(frame.true_tracks, frame.predicted_tracks)] += near
            self.true += len(frame.true_tracks)
            self.predicted += len(frame.predicted_tracks)
        # A pair that never meets costs as much as no pair, so that all may be paired.
        self.right += int(together[assign(together)].sum())

    def figures(self) -> dict[str, float]:
        """Return {"idf1", "idp" (its precision), "idr" (its recall): percent}."""
        return {
            "idf1": 200 * self.right / max(self.true + self.predicted, 1),
            "idp": 100 * self.right / max(self.predicted, 1),
            "idr": 100 * self.right / max(self.true, 1),
        }


def _track_count(tracks: Sequence[np.ndarray]) -> int:
    """Return the number of tracks in a video, counted from 0 in each of its frames."""
    return 1 + int(np.concatenate(tracks).max(initial=-1))


def assign(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows with columns so that the scores of the pairs have the highest sum.

    lap and not SciPy does it: if SciPy is installed, each start of Keras loads it.

    Args:
      scores: finite float [N, M], the score of pairing each row with each column.

    Returns:
      (rows, columns), the indices of the pairs, each int [min(N, M)]; every row or
      every column is paired.
    """
    _, columns, _ = lap.lapjv(-scores, extend_cost=True)
    rows = np.flatnonzero(columns >= 0)
    return rows, columns[rows]
