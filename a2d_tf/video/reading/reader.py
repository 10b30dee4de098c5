"""The interface of what reads the frames of a video."""

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
"""A frame that is not yet RGB: the call returns it as uint8 [H, W, 3], or None if the
camera has lost it.
"""


class Reader(abc.ABC):
    """Reader of the frames of a video, RGB uint8 [H, W, 3]; they can be read once.

    `open_video` makes one.

    Attributes:
      path: of the file or folder.
      name: name of the file or folder, or the index of the camera.
      size: (height, width).
      count: number of frames that the source claims to have; None if it claims none.
      duration: seconds that a file claims to last; None if it claims none.
      first_frame_time: time of the first frame in a player, in seconds. All other times
        count from the first frame.
      length: number of frames; None until it is known.
      damaged: 0-based indices of the frames read so far that the file or its decoder
        reports as damaged.
      images: names of the images of a folder; None for another source.
      fps_is_assumed: whether the rate of a folder of images is assumed.
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
        """Read the first frame and its size; return whether there is a frame."""
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
        """Yield the frames; for frames that are not needed None, which costs less.

        Args:
          is_needed: returns whether a frame is needed, by its 0-based index; None if
            all are.
          start: index of the first needed frame. If `index` was called before, decoding
            begins close to it.

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
        """Return the time at which a frame begins, as a player shows it.

        Args:
          index: 0-based index of the frame. For a frame that is not yet read, the
            result is the start of the newest frame, or its end if it is the last.
        """

    def index(self, seconds: float) -> int:
        """Return the 0-based index of the first frame that begins at a time or later.

        Frames of a camera are counted as if it dropped none.
        """
        return max(0, math.ceil(rounded_down(seconds) * self.fps))

    @property
    def fps(self) -> float:
        """Frames a second on average; 25 if the rate is unknown."""
        return self._stated_fps

    @property
    def lasts(self) -> float | None:
        """Duration in seconds, read or claimed; None if it is unknown."""
        if self.length is None:
            return self.duration
        return self.seconds(self.length)

    @property
    def expected(self) -> int | None:
        """Number of frames by the claimed number or duration; None if unknown."""
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
    """Return a time that is not above that of a frame which a table rounds up.

    Tables round to milliseconds, and 0.4 * 30 may be more than 12.
    """
    return seconds - 6e-4


def _always(index: int) -> bool:
    return True
