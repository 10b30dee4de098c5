"""Observations: who was coded to do what from when to when in a video."""

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
    """What a subject does from a time of the video to another.

    Attributes:
      subject: '' for no one in particular.
      start, end: seconds in the video; the same of a point event. Of an observation of
        images, the indices of two images, from 1: the end is the first image without
        the action.
      where: the file and the place in it, for errors.
      start_image, end_image: names of these images; None if the file does not say.
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
    """The coded times of a video.

    Attributes:
      name: name of the observation.
      video: name of the video's file without its suffix, or of its folder of images; if
        the file does not say it, the name of the observation.
      file: the file that holds the observation.
      folder: path of the folder that holds the video; '' if the file does not say.
      fps: frames a second of the video; None if the file does not say.
      has_assumed_times: whether the seconds are those of a prediction of images that
        were taken to come at `fps`, though nobody said so.
      from_first_frame: whether the seconds are those of a prediction, at its own rate
        of images. Those of a film count from its first frame; others from the start of
        its file, as a player counts.
      media_seconds: how long the video lasted that was coded; None if the file does not
        say.
      counts_images: whether bouts have indices of images in place of seconds.
      bouts: in the order of the file, where they end.
      modifiers: how many events have modifiers, which are ignored.
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
        """Return how many images its seconds count; None if nobody said so.

        Args:
          fps: what the user says, which wins over the file, unless the seconds of the
            file were made by its own rate.
          otherwise: the rate if neither says one.
        """
        if self.from_first_frame and self.fps:
            return self.fps
        return fps or self.fps or otherwise

    def check_film(self, film: str) -> None:
        """Raise InputError if the times cannot be those of a film, but of images."""
        problem = ""
        if self.counts_images:
            problem = "was coded from images"
        elif self.has_assumed_times:
            problem = "has seconds of images, whose rate was only assumed"
        if problem:
            raise InputError(
                f"{self.file}: {quoted(self.name)} {problem}, but {film} is a film; use"
                " the folder of images, or predict it again with --fps"
            )

    def time_text(self, bouts: Sequence[CodedBout]) -> str:
        """Return how long some bouts last: '2.5 s', '3 images' or 'point events: 2'."""
        total = math.fsum(bout.end - bout.start for bout in bouts)
        if not total:
            return f"point events: {len(bouts)}"
        return f"{total:.0f} images" if self.counts_images else f"{total:.1f} s"


def check_order(bout: CodedBout) -> None:
    """Raise InputError if a bout stops before it starts."""
    if bout.end < bout.start:
        raise InputError(
            f"{bout.where}: stops at {bout.end:.3f} s, before it starts at"
            f" {bout.start:.3f} s"
        )


def by_video(observations: Iterable[Observation]) -> dict[str, list[Observation]]:
    """Return {video: its observations}."""
    observations_of: dict[str, list[Observation]] = collections.defaultdict(list)
    for observation in observations:
        observations_of[observation.video].append(observation)
    return observations_of


def check_observations(observations: Iterable[Observation]) -> None:
    """Raise InputError if observations of a video may be of two, or of two coders."""
    for observations_of_one in by_video(observations).values():
        _check_folders(observations_of_one)
        _check_coders(observations_of_one)


def _check_folders(observations: Sequence[Observation]) -> None:
    """Raise InputError if the videos of observations of one name are in two folders."""
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
    """Raise InputError if two observations of a video code one subject at once.

    Two coders do so, each in an observation of his own. One coder may code a video in
    parts, one after the other.
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
    """Return whether all bouts of an observation are before all of the other."""
    if one.counts_images != other.counts_images:
        return False
    starts = []
    ends = []
    for observation in (one, other):
        starts.append(min(bout.start for bout in observation.bouts))
        ends.append(max(bout.end for bout in observation.bouts))
    return ends[0] <= starts[1] or ends[1] <= starts[0]
