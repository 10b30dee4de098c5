"""What tells the files of a video from those of another video."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from a2d_tf.data.decoding import video_paths
from a2d_tf.video.reading.image_reader import IMAGES

ENDS = 1 << 18
"""Bytes at the start of a file, and at its end, that tell it from another."""


class VideoContent(NamedTuple):
    """The content of the files of a video.

    Attributes:
      size: bytes of all files; None if the video is gone.
      digest: of their sizes, starts and ends; None if the video is gone.
    """

    size: int | None
    digest: str | None


def video_content(path: str | os.PathLike[str]) -> VideoContent:
    """Return the content of a video, a file or a folder of images."""
    total_size = 0
    digest = hashlib.sha256()
    try:
        for file_path in video_paths.files(path, IMAGES):
            with open(file_path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                digest.update(f"{size} ".encode())
                for start in (0, max(0, size - ENDS)):
                    file.seek(start)
                    digest.update(file.read(ENDS))
            total_size += size
    except OSError:
        return VideoContent(None, None)
    return VideoContent(total_size, digest.hexdigest())
