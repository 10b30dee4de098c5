"""Structures that detection, tracking and labelling of instances hand each other."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np


class FoundInstances(Protocol):
    """The N instances of an answered frame, by descending p(actor)."""

    @property
    def boxes(self) -> np.ndarray:
        """[N, 4], y1, x1, y2, x2, pixels."""

    @property
    def codes(self) -> np.ndarray:
        """int [N], pairs of actor and action; see `LabelSpace`."""

    @property
    def scores(self) -> np.ndarray:
        """[N], scores of the codes."""

    @property
    def masks(self) -> Sequence[dict]:
        """N masks in COCO's RLE."""

    @property
    def actor_scores(self) -> np.ndarray:
        """[N, |X|], p(actor)."""

    @property
    def action_scores(self) -> np.ndarray:
        """[N, |Y|], p(action)."""


class NumberedInstances(FoundInstances, Protocol):
    """The N instances of an answered frame, whose tracks a user gave."""

    @property
    def tracks(self) -> np.ndarray:
        """int [N], the numbers of the instances' tracks."""


class Detection(NamedTuple):
    """The network's answer on an individual in one answered frame.

    Attributes:
      frame_index: index of the frame among the answered ones, from 0.
      code: the pair of actor and action; see `LabelSpace`.
      score: score of the pair.
      actor_scores: [|X|], p(actor).
      action_scores: [|Y|], p(action).
    """

    frame_index: int
    code: int
    score: float
    actor_scores: np.ndarray
    action_scores: np.ndarray

    @classmethod
    def of(cls, instances: FoundInstances, i: int, frame_index: int) -> Detection:
        """Return the detection of instance `i` of a frame."""
        return cls(
            frame_index=frame_index,
            code=int(instances.codes[i]),
            score=float(instances.scores[i]),
            actor_scores=instances.actor_scores[i],
            action_scores=instances.action_scores[i],
        )


@dataclasses.dataclass(eq=False)
class Track:
    """An individual that is followed through a video.

    Attributes:
      id: number of the track, unique in the video.
      detections: detections of the individual in its newest frames, in order.
    """

    id: int
    detections: collections.deque[Detection]


class LinkedInstances(NamedTuple):
    """The tracks of the N instances of a frame, and the tracks that are lost.

    Attributes:
      tracks: the track of each instance; None for an instance without a track.
      resting: ids of the tracks that are lost from this frame on and may continue.
      ended: ids of the tracks that are lost from this frame on and have ended.
      extra: number of sure instances without a track, because their group has as many
        tracks as individuals.
    """

    tracks: Sequence[Track | None]
    resting: Sequence[int]
    ended: Sequence[int]
    extra: int


class InstanceTracker(Protocol):
    """What assigns the instances of one answered frame after another to tracks."""

    def add(self, instances: Any) -> LinkedInstances:
        """Assign the instances of the next answered frame to tracks.

        Call it once for each answered frame, in the order of the video.
        """
