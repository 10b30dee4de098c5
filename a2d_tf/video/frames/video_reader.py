"""Read the frames of a video file, a folder of images or a camera, with their times."""

from __future__ import annotations

import abc
import array
import contextlib
import functools
import itertools
import math
import os
import pathlib
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Union

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data import decoder, image_files, video_frames
from a2d_tf.data.timeline import Timeline

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_REMEDY = "re-encode it"

_Picture = Callable[[], Union[np.ndarray, None]]
"""A frame that is not yet RGB: the call returns it as uint8 [H, W, 3], or None if the
camera has lost it.
"""


class Reader(abc.ABC):
    """Reader of the frames of a video: RGB uint8 [H, W, 3], which can be had once.

    `open_video` makes one.

    Attributes:
      path: of the file or folder.
      name: name of the file or folder, or the index of the camera.
      size: (height, width).
      count: how many frames the source claims to have, or None.
      duration: seconds that a file claims to last, or None.
      first_frame_time: time of the first frame in a player, in seconds; times here
        count from the first frame.
      length: how many frames it has; None until that is known.
      damaged: 0-based indices of the damaged frames among those read so far, as far as
        a file or its decoder says so.
      images: names of the images of a folder; None for another source.
      fps_is_assumed: whether nobody said at which rate the images of a folder come.
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
        self._pictures: Generator[_Picture, None, None]
        self._first: np.ndarray

    def read_first(self) -> bool:
        """Read the first frame, which tells the size; return whether there is one."""
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
        """Yield the frames, and None in place of those not needed, which costs less.

        Args:
          is_needed: 0-based index of a frame -> bool; by default all are.
          start: none before this one is needed. If `index` was called before, decoding
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
          index: 0-based, of a frame. Behind the frames read so far it gives the time at
            which the newest one begins, or at which it ends if it is the last.
        """

    def index(self, seconds: float) -> int:
        """Return the 0-based index of the first frame that begins at a time or later.

        Frames of a camera are counted as if it dropped none.
        """
        return max(0, math.ceil(_rounded_down(seconds) * self.fps))

    @property
    def fps(self) -> float:
        """Frames a second, on average; 25 if nothing says otherwise."""
        return self._stated_fps

    @property
    def lasts(self) -> float | None:
        """Seconds that it lasts, or claims to last; None if unknown."""
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
        self, pictures: Iterable[_Picture], start: int, is_needed: Callable[[int], bool]
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
    def _open(self, start: int) -> Generator[_Picture, None, None]:
        """Open the source; return its pictures from a frame at which it can begin."""

    def _can_begin_at(self, start: int) -> bool:
        """Return whether the source can leave out the frames before `start`."""
        return False


class FileReader(Reader):
    """Reader of a video file."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        # Seconds at which the frames begin, and at which the last one ends.
        self._times = array.array("d")
        self._timeline: Timeline | None = None

    def seconds(self, index: int) -> float:
        """See `Reader.seconds`."""
        return self._times[min(index, len(self._times) - 1)]

    def index(self, seconds: float) -> int:
        """See `Reader.index`; reads the file up to this time."""
        seconds = _rounded_down(seconds)
        if seconds <= 0:
            return 0
        if self._timeline is None or self._timeline.until < seconds:
            with decoder.Decoder(self.path, _REMEDY) as video:
                self._timeline = video.timeline(seconds)
            if self._timeline.end is not None:
                self.count = len(self._timeline.seconds)
                self.duration = self._timeline.end
        return int(np.searchsorted(self._timeline.seconds, seconds))

    @property
    def fps(self) -> float:
        """The rate that the file states, unless the frames read so far differ."""
        intervals = len(self._times) - 1
        seconds = self._times[-1]
        if abs(self._stated_fps * seconds - intervals) > 1:
            return intervals / seconds
        return self._stated_fps

    def _can_begin_at(self, start: int) -> bool:
        return self._timeline is not None and 1 < start < len(self._timeline.stamps)

    def _open(self, start: int) -> Generator[_Picture, None, None]:
        if self._timeline is not None and start > 0:
            self._times = array.array("d", self._timeline.seconds[:start].tolist())
        return self._decode(start)

    def _decode(self, start: int) -> Generator[_Picture, None, None]:
        """Yield each frame once the next one is decoded, which tells when it ends."""
        with decoder.Decoder(self.path, _REMEDY) as video:
            self._stated_fps = video.fps
            if self._timeline is None:
                self.count = video.count
                self.duration = video.duration
            previous = None
            for index, frame in enumerate(video.frames(start, self._timeline), start):
                if index == 0:
                    self.first_frame_time = video.first_frame_time or 0.0
                self._times.append(frame.seconds)
                if frame.is_damaged:
                    self.damaged.add(index)
                if previous is not None:
                    yield previous.rgb
                previous = frame
            if previous is not None:
                self._times.append(previous.seconds + previous.duration)
                yield previous.rgb


class ImageReader(Reader):
    """Reader of a folder of images.

    Args:
      paths: the images in their order.
      fps: how many come a second; None: nobody said, and 25 is assumed.
    """

    def __init__(
        self,
        path: pathlib.Path,
        paths: Sequence[pathlib.Path],
        fps: float | None = None,
    ) -> None:
        super().__init__(path)
        self.fps_is_assumed = fps is None
        if fps is not None:
            self._stated_fps = fps
        self._paths = paths
        self.count = len(paths)
        self.length = len(paths)
        self.images = tuple(path.name for path in paths)

    def seconds(self, index: int) -> float:
        """See `Reader.seconds`."""
        return min(index, len(self._paths)) / self.fps

    def _open(self, start: int) -> Generator[_Picture, None, None]:
        for path in self._paths:
            yield functools.partial(
                image_files.read_image, path, "remove or replace it"
            )


class CameraReader(Reader):
    """Reader of a camera, which ends only when it is unplugged.

    Args:
      number: index of the camera.
    """

    def __init__(self, path: pathlib.Path, number: int) -> None:
        super().__init__(path)
        self._number = number
        self._times = array.array("d")  # seconds at which the frames begin

    def seconds(self, index: int) -> float:
        """See `Reader.seconds`; one frame later for any frame that is not yet read."""
        if index >= len(self._times):
            return self._times[-1] + 1 / self.fps
        return self._times[index]

    def _open(self, start: int) -> Generator[_Picture, None, None]:
        capture = cv2.VideoCapture(self._number)
        first_time = None
        try:
            self._stated_fps = decoder.stated_rate(capture.get(cv2.CAP_PROP_FPS))
            while capture.grab():  # not if it is unplugged, or there is no such camera
                # By the clock: frames are dropped where the network is slower than the
                # camera.
                now = time.monotonic()
                if first_time is None:
                    first_time = now
                self._times.append(now - first_time)
                yield functools.partial(_retrieve, capture)
        finally:
            capture.release()


def open_video(path: str | os.PathLike[str], fps: float | None = None) -> Reader:
    """Open a video, and read its first frame.

    Args:
      path: video file; or folder of images, in the order of the numbers in their names;
        or digits that name no file, the index of a camera.
      fps: the rate of a folder of images; video files and cameras have their own.

    Raises:
      InputError: there is no such file or camera, no frame can be decoded, or an image
        is not a numbered frame.
    """
    source = pathlib.Path(path)
    reader: Reader
    if source.is_dir():
        reader = ImageReader(source, _list_images(source), fps)
        remedy = f"use a folder of images ({', '.join(IMAGES)}), or a glob: '{path}/**'"
    elif source.exists():
        reader = FileReader(source)
        remedy = _REMEDY
    elif str(path).isdigit():
        reader = CameraReader(source, int(str(path)))
        remedy = "use the index of a working camera that is not in use, or a file"
    else:
        raise InputError(
            f"{path}: no such video; --video takes a file, a folder of images or a"
            " camera (0)"
        )
    if not reader.read_first():
        raise InputError(f"{path}: no frames can be decoded; {remedy}")
    return reader


def _always(index: int) -> bool:
    return True


def _rounded_down(seconds: float) -> float:
    """Return a time that is not above that of a frame which a table rounds up.

    Tables round to milliseconds, and 0.4 * 30 may be more than 12.
    """
    return seconds - 6e-4


def _retrieve(capture: cv2.VideoCapture) -> np.ndarray | None:
    """Return the frame that a camera has grabbed, or None."""
    is_decoded, frame = capture.retrieve()
    if not is_decoded:
        return None
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _list_images(folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the paths of the images of a folder, by their numbers.

    Raises:
      InputError: two names differ in more than their numbers.
    """
    paths = sorted(video_frames.files(folder, IMAGES), key=_by_number)
    for path, next_path in zip(paths, paths[1:]):
        parts = _by_number(path)
        next_parts = _by_number(next_path)
        # A name of one part has no number.
        if parts == next_parts or (len(parts) == 1) != (len(next_parts) == 1):
            raise InputError(
                f"{folder}: {path.name} and {next_path.name} are not two numbered"
                " frames; remove what is no frame"
            )
    return paths


def _by_number(path: pathlib.Path) -> list[str | int]:
    """Return the sort key of a name without its suffix, by which 2 is before 10."""
    # Every second part is a number.
    parts: list[str | int] = [*re.split("([0-9]+)", path.stem)]
    for i in range(1, len(parts), 2):
        parts[i] = int(parts[i])
    return parts
