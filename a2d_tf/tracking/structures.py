"""What passes between what finds instances, what follows them and what labels them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Protocol

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
        """[N], of the codes."""

    @property
    def masks(self) -> Sequence[dict]:
        """N RLEs."""

    @property
    def actor_scores(self) -> np.ndarray:
        """[N, |X|], p(actor)."""

    @property
    def action_scores(self) -> np.ndarray:
        """[N, |Y|], p(action)."""


class NumberedInstances(FoundInstances, Protocol):
    """The instances of an answered frame whose tracks are given."""

    @property
    def tracks(self) -> np.ndarray:
        """int [N], the numbers of their tracks."""


class Detection(NamedTuple):
    """What the network says of an individual in one answered frame.

    Attributes:
      frame_index: 0-based index among the answered frames.
      code: the pair of actor and action; see `LabelSpace`.
      score: of the pair.
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
        """Return the detection of the instance `i` of a frame."""
        return cls(
            frame_index=frame_index,
            code=int(instances.codes[i]),
            score=float(instances.scores[i]),
            actor_scores=instances.actor_scores[i],
            action_scores=instances.action_scores[i],
        )


@dataclasses.dataclass(eq=False)
class Track:
    """An individual while it is followed.

    Attributes:
      id: unique in the video.
      detections: those of the newest frames with it, in order.
    """

    id: int
    detections: collections.deque[Detection]


class LinkedInstances(NamedTuple):
    """The tracks of the N instances of a frame, and what became of the others.

    Attributes:
      tracks: N tracks or None.
      resting: ids of the tracks that are lost by this frame and may be found again.
      ended: ids of the tracks that are lost by this frame and end.
      extra: how many sure instances are beyond the number of individuals.
    """

    tracks: Sequence[Track | None]
    resting: Sequence[int]
    ended: Sequence[int]
    extra: int
