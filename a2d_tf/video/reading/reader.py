"""The interface of the readers of a video's frames."""

from __future__ import annotations

import abc
import contextlib
import itertools
import math
import os
import pathlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Union

import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.decoding import decoder

Picture = Callable[[], Union[np.ndarray, None]]
"""A function that returns a frame of a video, as RGB uint8 [H, W, 3].

Frames that nobody needs are thus never converted to RGB. It returns None if the camera
has lost the frame.
"""


class Reader(abc.ABC):
    """Reader of the frames of one video, in order; they can be read only once.

    `open_video` makes a reader whose first frame is read already. Then call `frames`.

    Args:
      path: path of the video file or the folder of images; the index of a camera as
        digits.

    Attributes:
      path: the argument.
      name: name of the file or folder, or the index of the camera.
      size: (height, width) of the frames, in pixels.
      count: number of frames that the source claims to have; None if it claims none.
      duration: seconds that a file claims to last; None if it claims none.
      first_frame_time: time at which a player shows the first frame of the file, in
        seconds. All other times count from the first frame.
      length: number of frames that could be read; None until the last frame is read.
      damaged: 0-based indices of the frames read so far that the file or its decoder
        reports as damaged.
      images: file names of the images of a folder, in order; None for another source.
      fps_is_assumed: whether the source is a folder of images whose rate is not known,
        so that 25 images a second are assumed.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.name = os.path.basename(os.path.abspath(path))
        self.size = (0, 0)
        self.count: int | None = None
        self.duration: float | None = None
        self.first_frame_time = 0.0
        self.length: int | None = None
        self.damaged: set[int] = set()
        self.images: tuple[str, ...] | None = None
        self.fps_is_assumed = False
        self._stated_fps = decoder.DEFAULT_FPS
        self._pictures: Generator[Picture, None, None]
        self._first: np.ndarray

    def read_first(self) -> bool:
        """Open the video, read its first frame and set `size`; call it before `frames`.

        Returns:
          whether the video has a first frame.
        """
        self._pictures = self._open(0)
        picture = next(self._pictures, None)
        if picture is None:
            return False
        frame = picture()
        if frame is None:
            return False
        self._first = frame
        self.size = (frame.shape[0], frame.shape[1])
        return True

    def frames(
        self, is_needed: Callable[[int], bool] | None = None, start: int = 0
    ) -> Iterator[np.ndarray | None]:
        """Yield the frames of the video from the first to the last one.

        It can be called once. After the last frame, `length` is known.

        Args:
          is_needed: returns whether a frame is needed, by its 0-based index; None if
            all frames are. A frame that is not needed costs less.
          start: 0-based index of the first needed frame. If `index` was called before,
            a video file is decoded from a place shortly before it.

        Yields:
          RGB uint8 [H, W, 3] for a needed frame; None for another one.

        Raises:
          InputError: an image is unreadable, or a frame has another size than those
            before it.
        """
        if is_needed is None:
            is_needed = _always
        with contextlib.closing(self._pictures):
            if not self._can_begin_at(start):
                first = [lambda: self._first]
                pictures = itertools.chain(first, self._pictures)
                yield from self._convert(pictures, 0, is_needed)
                return
        with contextlib.closing(self._open(start)) as later_pictures:
            yield from itertools.repeat(None, start)
            yield from self._convert(later_pictures, start, is_needed)

    @abc.abstractmethod
    def seconds(self, index: int) -> float:
        """Return the time at which a frame begins, in seconds from the first frame.

        Args:
          index: 0-based index of the frame. For a frame that is not yet read, the
            result is the start of the newest frame that was read, or its end if it is
            the last frame of the video.
        """

    def index(self, seconds: float) -> int:
        """Return the 0-based index of the first frame that begins at a time or later.

        Frames of a camera are counted as if it dropped none.

        Args:
          seconds: the time, from the first frame. It may be rounded to milliseconds.
        """
        return max(0, math.ceil(rounded_down(seconds) * self.fps))

    @property
    def fps(self) -> float:
        """The number of frames a second, on average; 25 if the rate is unknown."""
        return self._stated_fps

    @property
    def lasts(self) -> float | None:
        """The duration of the video in seconds; None if it is unknown.

        It is measured when all frames have been read; before, it is the claimed
        `duration`.
        """
        if self.length is None:
            return self.duration
        return self.seconds(self.length)

    @property
    def expected(self) -> int | None:
        """The number of frames that the video claims to have; None if it is unknown.

        If only a duration is claimed, the number follows from it and from `fps`.
        """
        if self.count or not self.duration:
            return self.count
        return max(1, round(self.duration * self.fps))

    def _convert(
        self, pictures: Iterable[Picture], start: int, is_needed: Callable[[int], bool]
    ) -> Iterator[np.ndarray | None]:
        """Yield the pictures from `start` on as RGB, and None for those not needed."""
        length = start  # perhaps none decodes from there on
        for index, picture in enumerate(pictures, start):
            length = index + 1
            if not is_needed(index):
                yield None
                continue
            frame = picture()
            if frame is None:
                length = index
                break
            if frame.shape[:2] != self.size:
                height, width = frame.shape[:2]
                name = f"frame {index + 1}"
                if self.images is not None:
                    name = self.images[index]
                raise InputError(
                    f"{self.path}: {name} has {height}x{width} pixels, earlier ones"
                    f" {self.size[0]}x{self.size[1]}; split the video there, or scale"
                    " it to one size"
                )
            yield frame
        self.length = length

    @abc.abstractmethod
    def _open(self, start: int) -> Generator[Picture, None, None]:
        """Open the source; return its pictures from a frame at which it can begin."""

    def _can_begin_at(self, start: int) -> bool:
        """Return whether the source can leave out the frames before `start`."""
        return False


def rounded_down(seconds: float) -> float:
    """Return a time in seconds, less what rounding to milliseconds may have added.

    Tables have times rounded to milliseconds. The result is never after the frame of
    such a time. It also absorbs errors of floating point: 0.4 * 30 may be more than 12.
    """
    return seconds - 6e-4


def _always(index: int) -> bool:
    return True
