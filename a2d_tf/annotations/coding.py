"""Coded times, and what the user says of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from a2d_tf.annotations.individuals import Subjects, targets_of
from a2d_tf.annotations.observations import Observation


@dataclasses.dataclass(frozen=True)
class Coding:
    """What people have coded of videos, and how it is used.

    Attributes:
      observations: of any videos.
      wins: whether coded actions replace annotated ones; else only missing ones are
        given.
      outside: the action between the coded times of an individual; None leaves these
        frames out.
      subjects: the individuals of subjects whose names differ, and names that are left
        out.
      fps: frames a second of folders of images; None: as the observations say.
    """

    observations: Sequence[Observation]
    wins: bool = False
    outside: str | None = None
    subjects: Subjects = dataclasses.field(default_factory=dict)
    fps: float | None = None

    def with_videos(self, spelling: Callable[[str], str]) -> Coding:
        """Return the coding with the names of videos in another spelling."""
        observations = []
        for observation in self.observations:
            video = spelling(observation.video)
            observations.append(dataclasses.replace(observation, video=video))
        return dataclasses.replace(self, observations=observations)

    def of_video(self, vid: str) -> list[Observation]:
        """Return the observations of a video."""
        return [own for own in self.observations if own.video == vid]

    def leaves_out(self, name: str, vid: str) -> bool:
        """Return whether the user leaves out a subject or a behaviour in a video."""
        return targets_of(self.subjects, name, vid) == []
