"""Videos of followed objects, truth beside what was found; HOTA and IDF1 of one class
of them.

Sources: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object
Tracking", IJCV 2021; Ristani et al., "Performance Measures and a Data Set for
Multi-Target, Multi-Camera Tracking", ECCV Workshops 2016; details as in TrackEval
1.0.0.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import lap
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics import KINDS

TRACK_KINDS = ("any", *KINDS)
"""Kinds of classes: all objects are of one, or actor, action or pair tells them
apart.
"""
ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Least IoUs of a match; every figure of HOTA is the mean over them."""
IDENTITY_IOU = 0.5  # least IoU of an object that is on its track, for IDF1
NAMES = ("hota", "det_a", "ass_a", "loc_a", "idf1", "idp", "idr")
_EPSILON = np.finfo(float).eps


def classes_of(kind: str, codes: np.ndarray, labels: LabelSpace) -> np.ndarray:
    """Return the class of each code, of one of TRACK_KINDS: int64 [...], 0 for
    background alone.
    """
    actors, actions = labels.split(codes)
    of_kind = {"any": codes > 0, "actor": actors, "action": actions, "joint": codes}
    return of_kind[kind].astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Objects:
    """The objects of one side in one frame; a track occurs once.

    Attributes:
      tracks: int64 [N], identities in the video.
      codes: int64 [N], pairs of actor and action.
      masks: list of N COCO RLEs of the frame's size; empty ones of objects with boxes
        alone.
      scores: float64 [N]; of truth all 1.
      boxes: float [N, 4], y1, x1, y2, x2; for video-mAP alone.
      pair_scores: float [N, |X|, |Y|], the score of each valid pair, 0 of the others,
        where known.
    """

    tracks: np.ndarray
    codes: np.ndarray
    masks: list[dict]
    scores: np.ndarray
    boxes: np.ndarray | None = None
    pair_scores: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class ComparedFrame:
    """A frame: N true objects against M that were found."""

    truth: Objects
    found: Objects

    @functools.cached_property
    def iou(self) -> np.ndarray:
        """The intersection over union of each pair of masks: float64 [N, M]."""
        sides = self.truth.masks, self.found.masks
        return np.reshape(
            rle_tools.iou(*sides, [0] * len(sides[1])), [*map(len, sides)]
        )


class Match(NamedTuple):
    """A frame of one class alone: n true objects against m that were found.

    Attributes:
      rows, columns: the track of each, int64 [n], [m], counted from 0 in the whole
        video.
      iou: float64 [n, m].
    """

    rows: np.ndarray
    columns: np.ndarray
    iou: np.ndarray


def of_class(
    frames: Iterable[ComparedFrame], kind: str, number: int, labels: LabelSpace
) -> list[Match]:
    """Select the objects of one class of a kind in each frame of a video that has any.

    As every benchmark of tracking has it, a true object is of one class and meets
    predictions of that class alone; an object whose class changes is one track in each
    of its classes.
    """
    chosen = []
    for frame in frames:
        sides = frame.truth, frame.found
        classes = (classes_of(kind, side.codes, labels) for side in sides)
        rows, columns = (np.flatnonzero(each == number) for each in classes)
        if len(rows) or len(columns):
            tracks = sides[0].tracks[rows], sides[1].tracks[columns]
            chosen.append((*tracks, frame.iou[np.ix_(rows, columns)]))
    known = [np.unique(np.concatenate(side)) for side in list(zip(*chosen))[:2]]
    return [
        Match(np.searchsorted(known[0], tracks), np.searchsorted(known[1], others), iou)
        for tracks, others, iou in chosen
    ]


def class_figures(videos: Iterable[Sequence[Match]]) -> dict[str, float]:
    """Compute the figures of NAMES of one class, in percent.

    Counts add up over the videos, as in TrackEval; LocA is 100 where nothing is
    matched.
    """
    videos = [frames for frames in videos if frames]
    counts = sum(map(count, videos), np.zeros((5, len(ALPHAS))))
    matched, missed, extra, located, associated = counts
    detection = matched / np.maximum(matched + missed + extra, 1)
    association = associated / np.maximum(matched, 1)
    location = np.divide(located, matched, out=np.ones(len(ALPHAS)), where=matched > 0)
    hota = np.sqrt(detection * association)
    right, true, found = sum(
        map(count_identities, videos), np.zeros(3, np.int64)
    ).tolist()
    identity = 200 * right / max(true + found, 1), 100 * right / max(found, 1)
    values = [
        100 * float(part.mean()) for part in (hota, detection, association, location)
    ]
    return dict(zip(NAMES, [*values, *identity, 100 * right / max(true, 1)]))


def count(frames: Sequence[Match]) -> np.ndarray:
    """Match the objects of one class in a video, for HOTA.

    One assignment in each frame serves all of ALPHAS. It prefers pairs whose tracks
    overlap much in the whole video: IoU times an alignment of the two tracks, itself a
    Jaccard index of soft matches over the video.

    Returns:
      float64 [5, 19], at each of ALPHAS: the number of matches; of true objects without
      one, and of predicted ones; the sum of the matches' IoUs; and the sum over the
      matches of the share of frames, among those in which the true or the predicted
      track is seen, in which the two are matched to each other.
    """
    rows, columns = _track_counts(frames)
    soft = np.zeros((rows, columns))
    lengths, other_lengths = np.zeros(rows), np.zeros(columns)
    for frame in frames:
        total = frame.iou.sum(axis=0) + frame.iou.sum(axis=1, keepdims=True) - frame.iou
        share = np.divide(
            frame.iou, total, out=np.zeros_like(total), where=total > _EPSILON
        )
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
    associated = (together**2 / either).sum(axis=(1, 2))
    missed, extra = lengths.sum() - matched, other_lengths.sum() - matched
    return np.stack([matched, missed, extra, located, associated])


def count_identities(frames: Sequence[Match]) -> np.ndarray:
    """Give each true track of a class in a video one predicted track, or none, for
    IDF1.

    An object is right where the predicted track of its own track is on it, with an IoU
    of IDENTITY_IOU or more; the pairs of tracks are those for most right objects.

    Returns:
      int64 [3]: the number of right objects, of true ones and of predicted ones.
    """
    together = np.zeros(_track_counts(frames), np.int64)
    for frame in frames:
        together[np.ix_(frame.rows, frame.columns)] += frame.iou >= IDENTITY_IOU
    # A pair that never meets costs as much as no pair, so that all may be paired.
    right = together[assign(together)].sum()
    true, found = (
        sum(map(len, side)) for side in zip(*((f.rows, f.columns) for f in frames))
    )
    return np.array([right, true, found])


def _track_counts(frames):
    """The numbers of true and of predicted tracks in the frames of a video."""
    sides = list(zip(*frames))[:2]
    return tuple(1 + int(np.concatenate(side).max(initial=-1)) for side in sides)


def assign(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows with columns so that the sum of the pairs' scores is the highest.

    lap and not SciPy does it: where SciPy is installed, each start of Keras loads it.

    Args:
      scores: finite float [N, M].

    Returns:
      (rows, columns), each int [min(N, M)]; every row or every column is paired.
    """
    _, columns, _ = lap.lapjv(-scores, extend_cost=True)
    rows = np.flatnonzero(columns >= 0)
    return rows, columns[rows]
