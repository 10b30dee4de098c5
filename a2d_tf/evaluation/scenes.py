"""Videos as the scores over time see them: objects that are followed, and how they overlap.

A frame is reduced to counts of pixels when it is made, so that masks need not be held.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace

KINDS = ("any", "actor", "action", "joint")
"""What a class is: all objects are one, or they are told apart by actor, action or pair."""


def classes_of(kind: str, codes: np.ndarray, labels: LabelSpace) -> np.ndarray:
    """Return the class of each code, of one of KINDS: int64 [...], 0 for background alone."""
    actors, actions = labels.split(codes)
    of_kind = {"any": codes > 0, "actor": actors, "action": actions, "joint": codes}
    return of_kind[kind].astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Objects:
    """The objects of one side in one frame; a track occurs once.

    Attributes:
      tracks: int64 [N], identities in the video.
      codes: int64 [N], pairs of actor and action.
      masks: N COCO RLEs of the frame's size, none of them empty.
      scores: float64 [N]; of truth all 1.
    """

    tracks: np.ndarray
    codes: np.ndarray
    masks: Sequence[dict]
    scores: np.ndarray

    @classmethod
    def none(cls) -> Objects:
        """Return the objects of a frame without any."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), [], np.zeros(0))


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame: N true objects against M predicted ones.

    Attributes:
      tracks, codes: of the true objects, int64 [N].
      areas: their pixels, int64 [N].
      predicted_tracks, predicted_codes: int64 [M].
      predicted_areas: int64 [M].
      scores: of the predicted objects, float64 [M].
      overlaps: pixels of each intersection, int64 [N, M].
    """

    tracks: np.ndarray
    codes: np.ndarray
    areas: np.ndarray
    predicted_tracks: np.ndarray
    predicted_codes: np.ndarray
    predicted_areas: np.ndarray
    scores: np.ndarray
    overlaps: np.ndarray

    @classmethod
    def of(cls, truth: Objects, predicted: Objects) -> Frame:
        """Compare the objects of a frame."""
        return cls(
            tracks=truth.tracks,
            codes=truth.codes,
            areas=_areas(truth.masks),
            predicted_tracks=predicted.tracks,
            predicted_codes=predicted.codes,
            predicted_areas=_areas(predicted.masks),
            scores=predicted.scores,
            overlaps=_areas(
                [
                    rle_tools.merge([mask, other], intersect=True)
                    for mask in truth.masks
                    for other in predicted.masks
                ]
            ).reshape(len(truth.masks), len(predicted.masks)),
        )

    @functools.cached_property
    def iou(self) -> np.ndarray:
        """The intersection over union of each pair of masks: float64 [N, M]."""
        return self.overlaps / (self.areas[:, None] + self.predicted_areas - self.overlaps)


@dataclasses.dataclass(frozen=True)
class Video:
    """A video's scored frames, in order."""

    name: str
    frames: Sequence[Frame]


@dataclasses.dataclass(frozen=True)
class Match:
    """A frame of one class alone: n true objects against m predicted ones.

    Attributes:
      rows, columns: which track of the truth, and of the prediction, each object is of: int64 [n],
        [m], indices from 0 that are the same in all frames of a video.
      iou: float64 [n, m].
    """

    rows: np.ndarray
    columns: np.ndarray
    iou: np.ndarray


def track_counts(frames: Sequence[Match]) -> tuple[int, int]:
    """Return the numbers of true and of predicted tracks in the frames of a video."""
    rows = 1 + max((int(frame.rows.max(initial=-1)) for frame in frames), default=-1)
    columns = 1 + max((int(frame.columns.max(initial=-1)) for frame in frames), default=-1)
    return rows, columns


def of_class(video: Video, kind: str, number: int, labels: LabelSpace) -> list[Match]:
    """Select the objects of one class of a kind in each frame of a video that has any.

    As every benchmark of tracking has it, a true object is of one class and meets predictions of
    that class alone; an object whose class changes is one track in each of its classes.
    """
    chosen = []
    for frame in video.frames:
        rows = np.flatnonzero(classes_of(kind, frame.codes, labels) == number)
        columns = np.flatnonzero(classes_of(kind, frame.predicted_codes, labels) == number)
        if len(rows) or len(columns):
            chosen.append((frame, rows, columns))
    if not chosen:
        return []
    tracks = np.unique(np.concatenate([frame.tracks[rows] for frame, rows, _ in chosen]))
    others = np.concatenate([frame.predicted_tracks[columns] for frame, _, columns in chosen])
    others = np.unique(others)
    return [
        Match(
            np.searchsorted(tracks, frame.tracks[rows]),
            np.searchsorted(others, frame.predicted_tracks[columns]),
            frame.iou[np.ix_(rows, columns)],
        )
        for frame, rows, columns in chosen
    ]


def _areas(masks):
    """Pixels of each RLE, int64 [N]."""
    return np.asarray(rle_tools.area(list(masks)), np.int64)
