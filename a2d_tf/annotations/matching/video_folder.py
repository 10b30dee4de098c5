"""The folder of the user's videos: their names, sizes and lengths.

A video is a file, or a folder of numbered images.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.matching.video_names import NameForms, name_of_path
from a2d_tf.core.errors import InputError
from a2d_tf.data.decoding import video_frames, video_paths


class VideoExtent(NamedTuple):
    """The size and the length of a video.

    Attributes:
      size: (height, width) of the frames in pixels.
      frame_count: the number of frames that decode.
    """

    size: tuple[int, int]
    frame_count: int


@dataclasses.dataclass
class VideoFiles:
    """The files with the name of a video.

    Attributes:
      paths: the video file or the folder of images; several if there are both, or files
        with several suffixes.
      first_number: the number of the first image in the folder, 0 or 1; None for a
        video file.
    """

    paths: list[pathlib.Path] = dataclasses.field(default_factory=list)
    first_number: int | None = None

    @functools.cached_property
    def extent(self) -> VideoExtent | None:
        """The size and length of the first of `paths`; None if that is no whole video.

        It is decoded at the first request.
        """
        path = self.paths[0]
        try:
            return VideoExtent(video_frames.size(path), video_frames.count(path))
        except InputError:  # the folder may contain other files
            return None


class VideoFolder:
    """The videos of a folder, found by the names that users and tools give them.

    Args:
      path: the folder.
      videos: {name of a video: its files}. The name is that of the file without its
        suffix, or that of the folder of images.

    Both are attributes, too.
    """

    def __init__(self, path: pathlib.Path, videos: Mapping[str, VideoFiles]) -> None:
        self.path = path
        self.videos = videos
        self._names_of_form: dict[str, set[str]] = {}
        for name in videos:
            for form in NameForms.of(name):
                self._names_of_form.setdefault(form, set()).add(name)

    @classmethod
    def open(cls, path: pathlib.Path) -> VideoFolder:
        """List the video files and the folders of images in a folder.

        Hidden files and files with other suffixes are ignored.

        Args:
          path: the folder.

        Raises:
          InputError: there is no such folder.
        """
        if not path.is_dir():
            raise InputError(
                f"{path}: no such folder; --videos must be the folder of videos"
            )
        entries = []
        for entry in sorted(path.iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                is_video = bool(video_paths.files(entry))
            else:
                is_video = entry.suffix.lower() in video_paths.VIDEOS
            if is_video:
                entries.append(entry)
        return cls.of_paths(path, entries)

    @classmethod
    def of_paths(
        cls, path: pathlib.Path, entries: Iterable[pathlib.Path]
    ) -> VideoFolder:
        """Make a `VideoFolder` of certain videos only.

        Args:
          path: the folder, for errors.
          entries: paths of the video files and the folders of images.
        """
        videos: dict[str, VideoFiles] = {}
        for entry in entries:
            name = name_of_path(entry)
            video = videos.setdefault(name, VideoFiles())
            video.paths.append(entry)
            if entry.is_dir():
                begins_with_zero = video_paths.begins_with_zero(entry)
                video.first_number = 0 if begins_with_zero else 1
        return cls(path, videos)

    def without_suffix(self, name: str) -> str:
        """Return a video's name without the suffix of a video file, if it has one.

        The name of an existing folder stays as it is, even if it is 'clip.mp4'.

        Args:
          name: the name of a video or of its file, as a user or a tool wrote it.
        """
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in video_paths.VIDEOS and name not in self.videos:
            return stem
        return name

    def spelling(self, name: str) -> str:
        """Return the name of a video as it is spelled in this folder.

        Tools change case, blanks, separators and accents of names.

        Args:
          name: the name as a tool wrote it, without suffix.

        Returns:
          the name of the only video that it may mean; `name` itself if it may mean
          several or none.
        """
        if name in self.videos:
            return name
        names: set[str] = set()
        for form in NameForms.of(name):
            names |= self._names_of_form.get(form, set())
        return names.pop() if len(names) == 1 else name
