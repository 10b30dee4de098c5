"""Coded times: when a subject shows which behaviour, and settings for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from a2d_tf.annotations.coded_times.observations import Observation
from a2d_tf.annotations.coded_times.subjects import Subjects, targets_of
from a2d_tf.annotations.matching.video_folder import VideoFolder
from a2d_tf.core.errors import InputError, quoted


@dataclasses.dataclass(frozen=True)
class Coding:
    """Coded times of videos, and how they give actions to annotated instances.

    A person has coded, in BORIS for example, which subject shows which behaviour when.

    Attributes:
      observations: the coded times, one observation for each coding of a video; videos
        may lack annotations.
      wins: whether a coded action replaces an annotated one; otherwise only instances
        without an action get the coded one.
      outside: the action of an individual between its coded times; None if these frames
        are left out.
      subjects: what the user says of subjects: the individuals that they mean, or that
        a subject or a behaviour is left out.
      fps: images a second of folders of images; None for the rate of the observations.
      by_sight: whether a subject whose name no annotation has may be known by sight: it
        is the individual that is seen alone during its bouts. Otherwise such a subject
        is an error.
    """

    observations: Sequence[Observation]
    wins: bool = False
    outside: str | None = None
    subjects: Subjects = dataclasses.field(default_factory=dict)
    fps: float | None = None
    by_sight: bool = False

    def with_videos(self, folder: VideoFolder) -> Coding:
        """Return the coding with the names of videos spelled as in a folder.

        Args:
          folder: the folder of the user's videos.

        Raises:
          InputError: `subjects` names a video that is not in the folder.
        """
        observations = []
        for observation in self.observations:
            video = folder.spelling(observation.video)
            observations.append(dataclasses.replace(observation, video=video))
        subjects: dict[str, Any] = {}
        for subject, target in self.subjects.items():
            subjects[subject] = target
            if isinstance(target, Mapping):
                subjects[subject] = {}
                for name, target_in_video in target.items():
                    video = _name_in(folder, name)
                    subjects[subject][video] = target_in_video
        return dataclasses.replace(self, observations=observations, subjects=subjects)

    @property
    def videos(self) -> list[str]:
        """The names of the observed videos, each once."""
        return list(dict.fromkeys(one.video for one in self.observations))

    @property
    def coded_subjects(self) -> set[str]:
        """The names of all coded subjects; '' stands for no one in particular."""
        subjects: set[str] = set()
        for observation in self.observations:
            subjects.update(bout.subject for bout in observation.bouts)
        return subjects

    @property
    def coded_behaviours(self) -> set[str]:
        """The names of all coded behaviours."""
        behaviours: set[str] = set()
        for observation in self.observations:
            behaviours.update(bout.action for bout in observation.bouts)
        return behaviours

    def of_video(self, vid: str) -> list[Observation]:
        """Return the observations, the coded times, of a video.

        Args:
          vid: the name of the video.
        """
        return [one for one in self.observations if one.video == vid]

    def leaves_out(self, name: str, vid: str) -> bool:
        """Return whether the user leaves out a subject or a behaviour in a video.

        Args:
          name: the coded name of the subject or the behaviour.
          vid: the name of the video.
        """
        return targets_of(self.subjects, name, vid) == []


def _name_in(folder: VideoFolder, name: str) -> str:
    """Return the name of a video as the folder spells it; InputError if it lacks it.

    Args:
      name: the name in --subjects, with or without suffix.
    """
    video = folder.spelling(folder.without_suffix(name))
    if video not in folder.videos:
        raise InputError(f"--subjects: no video {quoted(name)} in {folder.path}")
    return video
