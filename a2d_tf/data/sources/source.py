"""The protocol of a source of annotated videos, which conversion and checks use."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Protocol

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.sources.annotation import Annotation
from a2d_tf.data.sources.video_list import Video

RESTORE = "restore the missing files, or correct that number"
"""The remedy in messages about a listing that differs from its files."""


class Source(Protocol):
    """A source of annotated videos, from which records are made.

    `release.Release` (A2D) and `annotations.annotated_videos.AnnotatedVideos` (own
    videos) satisfy this protocol. A broken file raises an InputError that names file
    and field. Frames are numbered from 1. A `vid` is the name of one of `videos`.

    Attributes:
      root: folder of the source, which reports name; the manifest of records names
        files by their paths relative to it.
      label_space: label space of the annotations' codes.
      videos: the videos of both splits; their `frames` is the number in the listing, 0
        if the listing has none.
      listing: name of the file that lists the videos, for messages.
      remedy: what the user can do about a broken video; the end of messages.
      skipped: messages about entries of the listing that are left out.
      doubts: notes about names that may be misspelled.
      lost_behaviours: {action: time}, the actions that were coded, but that no instance
        has, and for how long they were coded, as text.
      bout_seconds: {action: mean length of its coded bouts in training videos,
        seconds}; empty without coded times.
    """

    root: pathlib.Path
    label_space: LabelSpace
    videos: tuple[Video, ...]
    listing: str
    remedy: str
    skipped: tuple[str, ...]
    doubts: tuple[str, ...]
    lost_behaviours: Mapping[str, str]
    bout_seconds: Mapping[str, float]

    def frames_path(self, vid: str) -> pathlib.Path:
        """Return a video's file, or the folder of its images; it need not exist."""

    def annotation_source(self, vid: str) -> pathlib.Path:
        """Return the file or folder of a video's annotations, for messages."""

    def annotation_path(self, vid: str, frame: int) -> pathlib.Path:
        """Return the file that holds a frame's annotation.

        Args:
          vid: name of the video.
          frame: number of the frame, from 1.
        """

    def files(self, vid: str) -> tuple[pathlib.Path, ...]:
        """Return the files whose contents a video's records depend on.

        Frames are among them. Records are built again if one of the files has changed.
        """

    def annotation_text(self, vid: str) -> str:
        """Return the annotations that are in none of a video's `files`, as text.

        Records are built again if this text has changed; it is '' if there are none.
        """

    def length(self, vid: str) -> int:
        """Return the number of a video's frames."""

    def annotated_frames(self, vid: str) -> tuple[int, ...]:
        """Return the numbers of a video's annotated frames, from 1, ascending."""

    def read_annotation(
        self, vid: str, frame: int, size: tuple[int, int] | None = None
    ) -> Annotation:
        """Read the ground truth of an annotated frame.

        Args:
          vid: name of the video.
          frame: number of the frame, from 1.
          size: (height, width) of the decoded frames, pixels; None if they were not
            decoded.

        Raises:
          InputError: the annotation is missing or broken.
        """


Skip = Callable[[pathlib.Path, InputError], None]
"""A function that reports an item which is left out.

It takes the path of the item and the error that is the reason. It may raise the error.
"""


def usable_frames(source: Source, video: Video, skip: Skip) -> tuple[int, ...]:
    """Return the numbers of a video's annotated frames that the video has, ascending.

    Args:
      source: the source of the video.
      video: the video.
      skip: function that is called with a path and an error for each annotated frame
        beyond the video's end; if the listing states more annotated frames than there
        are; and if the annotations or the video cannot be read.

    Returns:
      numbers from 1; none if the annotations or the video cannot be read.
    """
    vid = video.vid
    item = source.annotation_source(vid)
    try:
        numbers = source.annotated_frames(vid)
        item = source.frames_path(vid)
        length = source.length(vid)
    except InputError as error:
        skip(item, error)
        return ()
    usable = []
    for number in numbers:
        if number <= length:
            usable.append(number)
            continue
        path = source.annotation_path(vid, number)
        problem = (
            f"{path}: annotates frame {number}, but {source.frames_path(vid)} has"
            f" {length} according to {source.listing}; {RESTORE}"
        )
        skip(path, InputError(problem))
    if len(numbers) < video.annotated:
        folder = source.annotation_source(vid)
        problem = (
            f"{folder}: annotates {len(numbers)} frames, not {video.annotated} as"
            f" listed in {source.listing}; {RESTORE}"
        )
        skip(folder, InputError(problem))
    return tuple(usable)
