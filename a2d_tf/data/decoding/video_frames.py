"""Read the frames of a video: of a video file, or of a folder of numbered images.

Frames are numbered from 1. All frames of a video must have the same size.
"""

from __future__ import annotations

import collections
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.errors import InputError, join_names
from a2d_tf.core.files import Path
from a2d_tf.data.decoding import decoder, video_paths
from a2d_tf.data.decoding.image_files import read_image


class NumberedFrame(NamedTuple):
    """A decoded frame of a video.

    Attributes:
      number: number of the frame in its video, from 1.
      rgb: RGB uint8 [H, W, 3].
    """

    number: int
    rgb: np.ndarray


def read(
    path: Path, numbers: Iterable[int] | None = None, remedy: str = video_paths.REMEDY
) -> Iterator[NumberedFrame]:
    """Decode frames of a video and yield them in ascending order, in one pass.

    Args:
      path: a video file, or a folder of numbered images.
      numbers: numbers of the frames, from 1, in any order; None for all frames.
      remedy: what the user can do about a broken file; the end of each error message.

    Raises:
      InputError: the file is missing; or one of the frames is missing, cannot be
        decoded or has another size than earlier frames; or a frame of a video file that
        is read up to there is damaged, because later frames may refer to it.
    """
    path = pathlib.Path(path)
    ascending = None
    if numbers is not None:
        ascending = sorted(set(numbers))
        if not ascending:
            return
    if path.is_dir():
        frames = _decode_images(
            path, video_paths.images(path, remedy), ascending, remedy
        )
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
                file = video_paths.images(path, remedy)[frame.number]
            sizes = (
                f"{height}x{width} pixels, earlier frames"
                f" {first_size[0]}x{first_size[1]}"
            )
            raise InputError(f"{file}: frame {frame.number} has {sizes}; {remedy}")
        yield frame


def count(path: Path, remedy: str = video_paths.REMEDY) -> int:
    """Count the frames that can be decoded; in a folder of images, up to a missing one.

    Args:
      path: a video file, which is decoded to its end, or a folder of numbered images.
      remedy: what the user can do about a broken file; the end of each error message.

    Raises:
      InputError: the file is missing or no video, or the folder has no numbered images.
    """
    path = pathlib.Path(path)
    frames_so_far = 0
    if path.is_dir():
        for number in video_paths.images(path, remedy):
            if number == frames_so_far + 1:
                frames_so_far = number
        return frames_so_far
    with _opened(path, remedy) as video:
        for _ in video.frames():
            frames_so_far += 1
    return frames_so_far


def seconds(path: Path, remedy: str = video_paths.REMEDY) -> np.ndarray:
    """Return the times at which the frames of a video file are shown.

    Args:
      path: a video file, not a folder.
      remedy: what the user can do about a broken file; the end of each error message.

    Returns:
      float64 [N], seconds from the first frame. Times of a player are larger by
      `first_frame_time`.

    Raises:
      InputError: the file is missing or no video.
    """
    with _opened(pathlib.Path(path), remedy) as video:
        return video.timeline(math.inf).seconds


def first_frame_time(path: Path, remedy: str = video_paths.REMEDY) -> float:
    """Return the time at which a player shows the first frame, in seconds.

    It is above 0 if sound, or a frame that cannot be decoded, comes before that frame.

    Args:
      path: a video file; or a folder of images, whose first frame is at 0.
      remedy: what the user can do about a broken file; the end of each error message.

    Raises:
      InputError: the file is missing or no video.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return 0.0
    with _opened(path, remedy) as video:
        next(video.frames(), None)
        return video.first_frame_time or 0.0


def size(path: Path, remedy: str = video_paths.REMEDY) -> tuple[int, int]:
    """Decode the first frame of a video and return its (height, width) in pixels.

    Args:
      path: a video file, or a folder of numbered images.
      remedy: what the user can do about a broken file; the end of each error message.

    Raises:
      InputError: the first frame is missing or cannot be decoded.
    """
    frame = next(read(path, [1], remedy))
    height, width, _ = frame.rgb.shape
    return height, width


def _decode_images(
    folder: pathlib.Path,
    path_of: Mapping[int, pathlib.Path],
    numbers: Iterable[int] | None,
    remedy: str,
) -> Iterator[NumberedFrame]:
    """Yield frames of a folder of images.

    Args:
      folder: the folder, for messages.
      path_of: {number of a frame: path of its image}.
      numbers: numbers of the frames; None for all.
      remedy: the end of each message.

    Raises:
      InputError: an image is missing or broken.
    """
    last = max(path_of)
    if numbers is None:
        numbers = range(1, last + 1)
    for number in numbers:
        if number not in path_of:
            name = f"frame {number} ({number:05d}{video_paths.IMAGES[0]})"
            raise InputError(
                f"{folder}: {name} is missing, the last frame is {last}; {remedy}"
            )
        yield NumberedFrame(number, read_image(path_of[number], remedy))


def _opened(path: pathlib.Path, remedy: str) -> decoder.Decoder:
    """Open a video file.

    Raises:
      InputError: as `decoder.Decoder`; if the file is missing, the message lists the
        videos in its folder.
    """
    if not path.exists():
        videos = []
        for entry in path.parent.glob("[!.]*"):
            if entry.is_dir() or entry.suffix.lower() in video_paths.VIDEOS:
                videos.append(entry.name)
        names = join_names(sorted(videos))
        raise InputError(f"{path.parent}: no {path.stem}.*; it holds {names}; {remedy}")
    return decoder.Decoder(path, remedy)


def _decode_video(
    path: pathlib.Path, numbers: Sequence[int] | None, remedy: str
) -> Iterator[NumberedFrame]:
    """Yield frames of a video file; `numbers` are ascending, or None for all frames."""
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
