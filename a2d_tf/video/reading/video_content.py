"""Tell the files of a video from those of another video, by size and digest."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from a2d_tf.data.decoding import video_paths
from a2d_tf.video.reading.image_reader import IMAGES

ENDS = 1 << 18
"""The number of bytes at the start of each file, and at its end, that are digested."""


class VideoContent(NamedTuple):
    """The size and digest of a video's files.

    A later call sees by them whether the files have changed.

    Attributes:
      size: number of bytes of all files together; None if a file cannot be read.
      digest: SHA-256 in hexadecimal digits, of the size, the start and the end of each
        file; None if a file cannot be read.
    """

    size: int | None
    digest: str | None


def video_content(path: str | os.PathLike[str]) -> VideoContent:
    """Return the size and the digest of a video's files.

    Only the ends of each file are read, so it takes no time for a long video.

    Args:
      path: path of a video file, or of a folder of images.

    Returns:
      the size and the digest; both are None if the video is gone.
    """
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
