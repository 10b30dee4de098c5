"""The frames of a video on disk: a video file, or a folder of numbered images.

Numbers are 1-based: `00001.png` is the first frame, or the second one where there is
`00000.png`. All frames of a video must be of one size.
"""

from __future__ import annotations

import collections
import math
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.files import Path
from a2d_tf.data import decoder
from a2d_tf.data.image_files import read_image

VIDEOS = tuple(
    """
    .mp4 .avi .mov .mkv .webm
    .3gp .asf .flv .m2ts .m4v .mpeg .mpg .mts .mxf .ogv .ts .wmv
    """.split()
)
"""Suffixes of the files in a folder that are videos."""
IMAGES = (".png", ".jpg", ".jpeg")
_REMEDY = "restore it from the release"


class NumberedFrame(NamedTuple):
    """A decoded frame: its 1-based number, and RGB uint8 [H, W, 3]."""

    number: int
    rgb: np.ndarray


def find(folder: Path, vid: str) -> pathlib.Path | None:
    """Return the path of a video in a folder of videos; None if it is not there.

    It is the file `<vid>.mp4` or another of `VIDEOS`, also as `.MP4` or `.Mp4`, else
    the folder `<vid>`.
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


def read(
    path: Path, numbers: Iterable[int] | None = None, remedy: str = _REMEDY
) -> Iterator[NumberedFrame]:
    """Yield frames, ascending, in one pass.

    Args:
      path: a video file, or a folder of images.
      numbers: which frames, in any order; by default all there are.
      remedy: what the user can do about a broken file; ends each message.

    Raises:
      InputError: the file or one of these frames is absent, cannot be decoded, is of
        another size than those before it, or is damaged, or one before it is, which it
        may refer to.
    """
    path = pathlib.Path(path)
    ascending = None
    if numbers is not None:
        ascending = sorted(set(numbers))
        if not ascending:
            return
    if path.is_dir():
        frames = _decode_images(path, images(path, remedy), ascending, remedy)
    else:
        frames = _decode_video(path, ascending, remedy)
    first_size: tuple[int, int] | None = None
    for frame in frames:
        height, width = frame.rgb.shape[:2]
        if first_size is None:
            first_size = height, width
        if (height, width) != first_size:
            file = path
            if path.is_dir():
                file = images(path, remedy)[frame.number]
            sizes = (
                f"{height}x{width} pixels, earlier frames"
                f" {first_size[0]}x{first_size[1]}"
            )
            raise InputError(f"{file}: frame {frame.number} has {sizes}; {remedy}")
        yield frame


def count(path: Path, remedy: str = _REMEDY) -> int:
    """Count the frames that decode, whatever a file claims; in a folder, to a gap."""
    path = pathlib.Path(path)
    frames_so_far = 0
    if path.is_dir():
        for number in images(path, remedy):
            if number == frames_so_far + 1:
                frames_so_far = number
        return frames_so_far
    with _opened(path, remedy) as video:
        for _ in video.frames():
            frames_so_far += 1
    return frames_so_far


def seconds(path: Path, remedy: str = _REMEDY) -> np.ndarray:
    """Return when each frame of a video file is shown, float64 [N].

    Times count from the first frame. A player's are larger by `first_frame_time`.
    """
    with _opened(pathlib.Path(path), remedy) as video:
        return video.timeline(math.inf).seconds


def first_frame_time(path: Path, remedy: str = _REMEDY) -> float:
    """Return by how many seconds a player's times are above those of `seconds`.

    They are if sound, or what cannot be decoded, comes before the first frame.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return 0.0
    with _opened(path, remedy) as video:
        next(video.frames(), None)
        return video.first_frame_time or 0.0


def size(path: Path, remedy: str = _REMEDY) -> tuple[int, int]:
    """Return (height, width) of the first frame."""
    frame = next(read(path, [1], remedy))
    height, width, _ = frame.rgb.shape
    return height, width


def files(path: Path, suffixes: tuple[str, ...] = IMAGES) -> tuple[pathlib.Path, ...]:
    """List the files that hold the frames: the video file, or a folder's images."""
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
    """Return whether this is a folder of images whose first is numbered 0."""
    return any(re.fullmatch("0+", file.stem) for file in files(path))


def images(folder: Path, remedy: str = _REMEDY) -> dict[int, pathlib.Path]:
    """List the numbered images of a folder: {1-based number: path}, ascending.

    Raises:
      InputError: an image whose name is no number, two of one number, or none at all.
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


def _decode_images(
    folder: pathlib.Path,
    path_of: Mapping[int, pathlib.Path],
    numbers: Iterable[int] | None,
    remedy: str,
) -> Iterator[NumberedFrame]:
    """Yield the frames of a folder of images, {number: path}; `numbers` may be None."""
    last = max(path_of)
    if numbers is None:
        numbers = range(1, last + 1)
    for number in numbers:
        if number not in path_of:
            name = f"frame {number} ({number:05d}{IMAGES[0]})"
            raise InputError(
                f"{folder}: {name} is missing, the last frame is {last}; {remedy}"
            )
        yield NumberedFrame(number, read_image(path_of[number], remedy))


def _opened(path: pathlib.Path, remedy: str) -> decoder.Decoder:
    """Open a video file.

    Raises:
      InputError: as of `decoder.Decoder`; if the file is missing, it lists the videos
        in its folder.
    """
    if not path.exists():
        videos = []
        for entry in path.parent.glob("[!.]*"):
            if entry.is_dir() or entry.suffix.lower() in VIDEOS:
                videos.append(entry.name)
        names = join_names(sorted(videos))
        raise InputError(f"{path.parent}: no {path.stem}.*; it holds {names}; {remedy}")
    return decoder.Decoder(path, remedy)


def _decode_video(
    path: pathlib.Path, numbers: Sequence[int] | None, remedy: str
) -> Iterator[NumberedFrame]:
    """Yield the frames of a video file; `numbers` are ascending, or None for all."""
    number = 0
    remaining = collections.deque(numbers or ())
    with _opened(path, remedy) as video:
        frames = video.frames()
        for number, frame in enumerate(frames, 1):
            if frame.is_damaged:
                more = sum(later_frame.is_damaged for later_frame in frames)
                problem = f"frame {number} is damaged, and {more} frames after it"
                raise InputError(f"{path}: {problem}; {remedy}")
            if numbers is None:
                yield NumberedFrame(number, frame.rgb())
            elif number == remaining[0]:
                yield NumberedFrame(number, frame.rgb())
                remaining.popleft()
                if not remaining:
                    return
    if remaining or (numbers is None and (video.is_broken or number == 0)):
        problem = f"decoding ends after {number} frames"
        if remaining:
            problem += f", before frame {remaining[0]}"
        raise InputError(f"{path}: {problem}; {remedy}")
