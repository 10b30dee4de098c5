"""The files of videos: a video file, or a folder of numbered images, for each.

Frames are numbered from 1: `00001.png` is the first frame, or the second frame if there
is a `00000.png`.
"""

from __future__ import annotations

import os
import pathlib
import re

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import Path

VIDEOS = tuple(
    """
    .mp4 .avi .mov .mkv .webm
    .3gp .asf .flv .m2ts .m4v .mpeg .mpg .mts .mxf .ogv .ts .wmv
    """.split()
)
"""Suffixes of video files in a folder."""
IMAGES = (".png", ".jpg", ".jpeg")
REMEDY = "restore it from the release"
"""What to do about a broken video of a release; ends messages by default."""


def find(folder: Path, vid: str) -> pathlib.Path | None:
    """Find a video in a folder of videos by its name.

    The video is a file `<vid>.mp4` or with another suffix of `VIDEOS`, also in the form
    `.MP4` or `.Mp4`; if there is no such file, it is the folder `<vid>` of images.

    Args:
      folder: the folder of videos.
      vid: VID, the name of the video, a file name without suffix.

    Returns:
      path of the file or folder; None if there is none.
    """
    folder = pathlib.Path(folder)
    for change_case in (str.lower, str.upper, str.title):
        for suffix in VIDEOS:
            path = folder / f"{vid}{change_case(suffix)}"
            if path.is_file():
                return path
    if (folder / vid).is_dir():
        return folder / vid
    return None


def files(path: Path, suffixes: tuple[str, ...] = IMAGES) -> tuple[pathlib.Path, ...]:
    """List the files that hold a video's frames: the video file, or a folder's images.

    Args:
      path: a video file, or a folder of images.
      suffixes: suffixes of the images, in lower case.

    Returns:
      the paths, sorted by name.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return (path,)
    paths = []
    for name in sorted(os.listdir(path)):
        # macOS leaves files with a leading dot beside copied ones.
        if name.lower().endswith(suffixes) and not name.startswith("."):
            paths.append(path / name)
    return tuple(paths)


def begins_with_zero(path: Path) -> bool:
    """Return whether a path is a folder of images that are numbered from 0.

    An image such as 00000.png says so; 00001.png is then the second frame.
    """
    return any(re.fullmatch("0+", file.stem) for file in files(path))


def images(folder: Path, remedy: str = REMEDY) -> dict[int, pathlib.Path]:
    """List the numbered images of a folder.

    Args:
      folder: the folder, whose images are named by numbers such as 00001.png.
      remedy: what the user can do about a folder without images; the end of the error
        message.

    Returns:
      {number of the frame, from 1: path of its image}, ascending.

    Raises:
      InputError: the name of an image is not a number, two images have the same number,
        or there is no image.
    """
    path_of: dict[int, pathlib.Path] = {}
    first = 0 if begins_with_zero(folder) else 1
    for path in files(folder):
        is_number = re.fullmatch(r"[0-9]{1,9}", path.stem)
        number = int(path.stem) + 1 - first if is_number else 0
        if number == 0 or number in path_of:
            raise InputError(
                f"{path}: its name is not a number, or is used twice; number the images"
                f" from 00001{IMAGES[0]}"
            )
        path_of[number] = path
    if not path_of:
        raise InputError(
            f"{folder}: no images ({', '.join(IMAGES)}) in this folder; {remedy}"
        )
    return dict(sorted(path_of.items()))
