"""Structures that detection, tracking and labelling of instances hand each other."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np


class FoundInstances(Protocol):
    """The N instances that the network found in an answered (predicted) frame.

    They are ordered by descending p(actor).
    """

    @property
    def boxes(self) -> np.ndarray:
        """The instances' boxes: [N, 4], (y1, x1, y2, x2) in pixels of the frame."""

    @property
    def codes(self) -> np.ndarray:
        """The instances' codes of actor and action: int [N]; see `LabelSpace`."""

    @property
    def scores(self) -> np.ndarray:
        """The scores of `codes`, p(actor, action): [N], from 0 to 1."""

    @property
    def masks(self) -> Sequence[dict]:
        """The instances' masks in the whole frame: N dicts of COCO's compressed RLE."""

    @property
    def actor_scores(self) -> np.ndarray:
        """The probability of each actor for each instance: [N, |X|]."""

    @property
    def action_scores(self) -> np.ndarray:
        """The probability of each action for each instance: [N, |Y|].

        With cartesian and hierarchical labels it is joint with the actor: a sum over
        actors of p(actor) p(action).
        """


class NumberedInstances(FoundInstances, Protocol):
    """The N instances of an answered frame, whose tracks a user gave in a file."""

    @property
    def tracks(self) -> np.ndarray:
        """The number of each instance's track: int [N], all different."""


class Detection(NamedTuple):
    """The network's labels of an individual in one answered frame.

    Attributes:
      frame_index: index of the frame among the answered (predicted) ones, from 0.
      code: the code of actor and action; see `LabelSpace`.
      score: the score of that pair, p(actor, action), from 0 to 1.
      actor_scores: [|X|], the probability of each actor.
      action_scores: [|Y|], the probability of each action; joint with the actor as in
        `FoundInstances`.
    """

    frame_index: int
    code: int
    score: float
    actor_scores: np.ndarray
    action_scores: np.ndarray

    @classmethod
    def of(cls, instances: FoundInstances, i: int, frame_index: int) -> Detection:
        """Make the detection of one instance of a frame.

        Args:
          instances: the instances of the frame.
          i: index of the instance, from 0.
          frame_index: index of the frame among the answered ones, from 0.
        """
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
      id: number of the track, from 1, unique in the video.
      detections: the individual's detections in the newest frames in which it has an
        instance, in order; older ones drop out.
    """

    id: int
    detections: collections.deque[Detection]


class LinkedInstances(NamedTuple):
    """The tracks of the N instances of a frame, and the tracks that are lost.

    Attributes:
      tracks: the track of each instance; None for an instance without a track.
      resting: ids of the tracks that are lost from this frame on, and continue if the
        individual appears again.
      ended: ids of the tracks that are lost from this frame on, and never continue.
      extra: number of sure instances that get no track because their group already has
        as many tracks as individuals.
    """

    tracks: Sequence[Track | None]
    resting: Sequence[int]
    ended: Sequence[int]
    extra: int


class InstanceTracker(Protocol):
    """A tracker: it assigns the instances of successive answered frames to tracks.

    `Tracker` links them itself, and `GivenTracker` has the tracks that a user gave.
    """

    def add(self, instances: Any) -> LinkedInstances:
        """Assign the instances of the next answered (predicted) frame to tracks.

        Call it once for each answered frame, in the order of the video.

        Args:
          instances: the frame's instances: `FoundInstances` for `Tracker`,
            `NumberedInstances` for `GivenTracker`.

        Returns:
          the track of each instance, and the tracks that are lost from this frame on.
        """
