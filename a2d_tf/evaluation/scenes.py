"""Videos as the scores over time see them: objects that are followed, and how they overlap."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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

    @functools.cached_property
    def areas(self) -> np.ndarray:
        """The pixels of each mask: int64 [N]."""
        return _areas(self.masks)


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame: N true objects against M that were found."""

    truth: Objects
    found: Objects

    @functools.cached_property
    def overlaps(self) -> np.ndarray:
        """The pixels of each intersection: int64 [N, M]."""
        pairs = [[mask, other] for mask in self.truth.masks for other in self.found.masks]
        areas = _areas([rle_tools.merge(pair, intersect=True) for pair in pairs])
        return areas.reshape(len(self.truth.masks), len(self.found.masks))

    @functools.cached_property
    def iou(self) -> np.ndarray:
        """The intersection over union of each pair of masks: float64 [N, M]."""
        return self.overlaps / (self.truth.areas[:, None] + self.found.areas - self.overlaps)


class Match(NamedTuple):
    """A frame of one class alone: n true objects against m that were found.

    Attributes:
      rows, columns: which track of the truth, and of those found, each object is of: int64 [n],
        [m], indices from 0 that are the same in all frames of a video.
      iou: float64 [n, m].
    """

    rows: np.ndarray
    columns: np.ndarray
    iou: np.ndarray


def of_class(frames: Iterable[Frame], kind: str, number: int, labels: LabelSpace) -> list[Match]:
    """Select the objects of one class of a kind in each frame of a video that has any.

    As every benchmark of tracking has it, a true object is of one class and meets predictions of
    that class alone; an object whose class changes is one track in each of its classes.
    """
    chosen = []
    for frame in frames:
        sides = frame.truth, frame.found
        rows, columns = (
            np.flatnonzero(classes_of(kind, side.codes, labels) == number) for side in sides
        )
        if len(rows) or len(columns):
            tracks = sides[0].tracks[rows], sides[1].tracks[columns]
            chosen.append((*tracks, frame.iou[np.ix_(rows, columns)]))
    known = [np.unique(np.concatenate(side)) for side in list(zip(*chosen))[:2]]
    return [
        Match(np.searchsorted(known[0], tracks), np.searchsorted(known[1], others), iou)
        for tracks, others, iou in chosen
    ]


def _areas(masks):
    """Pixels of each RLE, int64 [N]."""
    return np.asarray(rle_tools.area(list(masks)), np.int64)
