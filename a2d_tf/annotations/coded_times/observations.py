"""Observations: which subject does what in a video, and when, as people coded it."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2d_tf.core.errors import InputError, quoted

PAST_END = 1.0
"""Seconds by which a bout may end after its video: tools differ on the end."""


class CodedBout(NamedTuple):
    """A coded period in which a subject does one thing.

    Attributes:
      subject: the name of the subject; '' for no one in particular.
      action: the name of the behaviour.
      start, end: seconds in the video; equal for a point event. If the observation
        counts images, the indices of two images, from 1: `end` is the first image
        without the action.
      where: the file and the place in it, for errors.
      start_image, end_image: the file names of these images; None if the file does not
        say.
    """

    subject: str
    action: str
    start: float
    end: float
    where: str
    start_image: str | None = None
    end_image: str | None = None


@dataclasses.dataclass
class Observation:
    """One coding of a video: what a person, or a prediction, saw in it, and when.

    Attributes:
      name: the name of the observation in the file.
      video: the name of the video's file without its suffix, or of its folder of
        images; if the file does not say it, the name of the observation.
      file: the path of the file that holds the observation.
      folder: the path of the folder that holds the video; '' if the file does not say.
      fps: the frames a second of the video; None if the file does not say.
      has_assumed_times: whether the seconds come from a prediction of images whose rate
        nobody stated, so that `fps` was assumed.
      from_first_frame: whether the seconds come from a prediction. They count from the
        first frame of a video, and for images at the rate `fps`. Seconds of other
        observations count from the start of the video file, as a player shows them.
      media_seconds: the length of the coded video, in seconds; None if the file does
        not say.
      counts_images: whether bouts have indices of images instead of seconds.
      bouts: the coded bouts, in the order in which they end in the file.
      modifiers: the number of events with modifiers, BORIS's details of a behaviour,
        which are ignored.
    """

    name: str
    video: str
    file: str = ""
    folder: str = ""
    fps: float | None = None
    has_assumed_times: bool = False
    from_first_frame: bool = False
    media_seconds: float | None = None
    counts_images: bool = False
    bouts: list[CodedBout] = dataclasses.field(default_factory=list)
    modifiers: int = 0

    def rate_of_images(
        self, fps: float | None, otherwise: float | None = None
    ) -> float | None:
        """Return the number of images a second by which seconds become images.

        Args:
          fps: the rate that the user states; None if he does not. It wins over that of
            the file, unless the seconds come from a prediction, which used its own
            rate.
          otherwise: the rate if neither the user nor the file states one.

        Returns:
          the rate; None if it is unknown.
        """
        if self.from_first_frame and self.fps:
            return self.fps
        return fps or self.fps or otherwise

    def check_times_of_video(self, video: str) -> None:
        """Raise InputError if the times are of images, and do not fit a video file.

        Args:
          video: the path of the video file, for the error.
        """
        problem = ""
        if self.counts_images:
            problem = "was coded from images"
        elif self.has_assumed_times:
            problem = "has seconds of images, whose rate was only assumed"
        if problem:
            raise InputError(
                f"{self.file}: {quoted(self.name)} {problem}, but {video} is a video"
                " file; use the folder of images, or predict it again with --fps"
            )

    def time_text(self, bouts: Sequence[CodedBout]) -> str:
        """Return the length of bouts in all: '2.5 s', '3 images' or 'point events: 2'.

        Args:
          bouts: bouts of this observation.
        """
        total = math.fsum(bout.end - bout.start for bout in bouts)
        if not total:
            return f"point events: {len(bouts)}"
        return f"{total:.0f} images" if self.counts_images else f"{total:.1f} s"


def check_order(bout: CodedBout) -> None:
    """Raise InputError if a bout stops before it starts.

    Args:
      bout: a coded period in which a subject does one thing.
    """
    if bout.end < bout.start:
        raise InputError(
            f"{bout.where}: stops at {bout.end:.3f} s, before it starts at"
            f" {bout.start:.3f} s"
        )


def by_video(observations: Iterable[Observation]) -> dict[str, list[Observation]]:
    """Return {name of a video: its observations}, in their order.

    Args:
      observations: the observations, each one coding of one video.
    """
    observations_of: dict[str, list[Observation]] = collections.defaultdict(list)
    for observation in observations:
        observations_of[observation.video].append(observation)
    return observations_of


def check_observations(observations: Iterable[Observation]) -> None:
    """Raise InputError if observations of one video contradict each other.

    They do if they name two folders, so that two videos have one name, or if they code
    one subject in overlapping times, as two persons would.

    Args:
      observations: the observations, each one coding of one video; videos may have
        several.
    """
    for observations_of_one in by_video(observations).values():
        _check_folders(observations_of_one)
        _check_coders(observations_of_one)


def _check_folders(observations: Sequence[Observation]) -> None:
    """Raise InputError if observations of one video name two folders."""
    in_folders = [o for o in observations if o.folder]
    for observation in in_folders[1:]:
        other = in_folders[0]
        if observation.folder.casefold() != other.folder.casefold():
            raise InputError(
                f"{observation.file}: '{observation.folder}/{observation.video}' of"
                f" {quoted(observation.name)} is another video than"
                f" '{other.folder}/{other.video}' of {quoted(other.name)} in"
                f" {other.file}; rename one, also in the annotations, or if they are"
                " one, correct its path in one of the files"
            )


def _check_coders(observations: Sequence[Observation]) -> None:
    """Raise InputError if two observations code one subject in overlapping times.

    Then two people coded the video. One coder may code it in parts, one after the
    other.
    """
    for i, observation in enumerate(observations):
        for other in observations[:i]:
            subjects = {bout.subject for bout in observation.bouts}
            common = subjects & {bout.subject for bout in other.bouts}
            if common and not _follow_each_other(observation, other):
                files = observation.file
                if files != other.file:
                    files += f" and {other.file}"
                raise InputError(
                    f"{observation.bouts[0].where}: observations {quoted(other.name)}"
                    f" and {quoted(observation.name)} both code {quoted(min(common))}"
                    f" in '{observation.video}'; pass one of them, or if they are parts"
                    f" of one coding, correct their times, which overlap ({files})"
                )


def _follow_each_other(one: Observation, other: Observation) -> bool:
    """Return whether one observation ends before the other one begins."""
    if one.counts_images != other.counts_images:
        return False
    starts = []
    ends = []
    for observation in (one, other):
        starts.append(min(bout.start for bout in observation.bouts))
        ends.append(max(bout.end for bout in observation.bouts))
    return ends[0] <= starts[1] or ends[1] <= starts[0]
