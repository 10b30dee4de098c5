"""Read video files, folders of images and cameras, as RGB frames with their times."""

from __future__ import annotations

import array
import functools
import itertools
import math
import os
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from a2d_tf.core.errors import InputError, check_size
from a2d_tf.data import decoder, frames

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# There is a cut between two frames where the distance of their colours is above the first and the
# correlation of their grey levels below the second. Brighter light changes the first alone, motion
# the second. In ten clips of A2D this holds for no two frames up to 15 apart, nor for a frame and
# itself 1.5 times as bright; and for 98 % of the pairs of one clip's end and another's beginning.
CUT_COLOURS, CUT_LEVELS = 0.4, 0.7
CUT_REACH = 15  # frames; further apart, motion alone may look like a cut
_REMEDY = "re-encode it"


class Reader:
    """Reader of a video file, of a folder of images (in the order of their names), or of a camera.

    Iterate once: RGB uint8 [H, W, 3], all of one size; frames of a video that change their size are
    resized to that of the first.

    Args:
      path: file or folder; or digits that name no file, the index of a camera, which ends only
        when it is unplugged.

    Attributes:
      size: (height, width).
      fps: frames a second, on average; 25 where the source does not say.
      count: how many frames the source claims to have, or None.
      duration: seconds that a file claims to last, or None.
      length: how many frames it has; None until that is known.
      name: name of the file or folder, or the index of the camera.
      images: names of the images of a folder; None for another source.

    Raises:
      InputError: no such file or camera, not one frame in it, a frame that is too large, or an
        image that is unreadable or of another size.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._path = pathlib.Path(path)
        self.fps, self.count, self.size = decoder.DEFAULT_FPS, None, (0, 0)
        self.duration: float | None = None
        self.length: int | None = None
        self.name = os.path.basename(os.path.abspath(path))
        self.images: tuple[str, ...] | None = None
        self._is_needed: Callable[[int], bool] = lambda index: True
        # Of the frames of a file or camera, and of the end of a file; None of images.
        self._times: array.array[float] | None = None
        self._timeline: decoder.Timeline | None = None
        self._is_camera = False
        remedy = _REMEDY
        if self._path.is_dir():
            self._frames = self._fitted(self._images())
        elif self._path.exists():
            self._times = array.array("d")
            self._frames = self._fitted(self._file())
        elif str(path).isdigit():
            self._times, self._is_camera = array.array("d"), True
            remedy = "give the index of a camera that works and is not in use, or a file"
            self._frames = self._fitted(self._camera(int(str(path)), remedy))
        else:
            raise InputError(
                f"{path}: no such video; --video names a file, a folder of images or a camera (0)"
            )
        self._first = next(self._frames, None)
        if self._first is None:
            raise InputError(f"{path}: not one frame can be decoded; {remedy}")

    def __iter__(self) -> Iterator[np.ndarray | None]:
        return self.frames()

    def frames(
        self, is_needed: Callable[[int], bool] | None = None, start: int = 0
    ) -> Iterator[np.ndarray | None]:
        """Iterate, with None in place of the frames that are not needed, which costs less.

        Args:
          is_needed: 0-based index of a frame -> bool; by default all are.
          start: none before this one is needed. Where `index` was asked before, decoding begins
            close to it.
        """
        self._is_needed = is_needed or self._is_needed
        if self._timeline is not None and 1 < start < len(self._timeline.stamps):
            self._frames.close()
            self._times = array.array("d", self._timeline.seconds[:start].tolist())
            yield from itertools.repeat(None, start)
            yield from self._fitted(self._file(start))
            return
        yield self._first if self._is_needed(0) else None
        yield from self._frames

    def index(self, seconds: float) -> int:
        """The 0-based index of the first frame that begins at a time or later.

        A video file is read up to that time, without decoding it where that will do. Frames of a
        camera are counted as if it dropped none.
        """
        # 0.4 s of 30 frames a second is frame 12, whatever 0.4 * 30 comes to.
        if self._times is None or self._is_camera:
            return max(0, math.ceil(seconds * self.fps - 1e-6))
        if seconds <= 0:
            return 0
        if self._timeline is None or self._timeline.until < seconds:
            with decoder.Video(self._path, _REMEDY) as video:
                self._timeline = video.timeline(seconds)
        return int(np.searchsorted(self._timeline.seconds, seconds - 1e-6))

    @property
    def expected(self) -> int | None:
        """How many frames there may be, by the claimed number or duration; None if unknown."""
        if self.count or not self.duration:
            return self.count
        return max(1, round(self.duration * self.fps))

    def seconds(self, index: int) -> float:
        """The time at which the frame of a 0-based index begins, as a player shows it.

        Args:
          index: of a frame that was read, or of the one behind it.
        """
        if self._times is None:
            return index / self.fps
        if self._is_camera and index >= len(self._times):  # the end of its last frame
            return self._times[-1] + 1 / self.fps
        return self._times[index]

    def _file(self, start=0):
        """Yield (index, what makes it RGB) when it is known how long a frame lasts."""
        with decoder.Video(self._path, _REMEDY) as video:
            self.fps, self.count, self.duration, last = video.fps, video.count, video.duration, None
            for index, picture in enumerate(video.pictures(start, self._timeline), start):
                self._times.append(picture.seconds)
                if last is not None:
                    yield index - 1, last.rgb
                last = picture
            if last is not None:
                self._times.append(last.seconds + last.duration)
                yield index, last.rgb

    def _camera(self, number, remedy):
        capture, start = cv2.VideoCapture(number), None
        try:
            if not capture.isOpened():
                raise InputError(f"{number}: cannot be decoded (no such camera); {remedy}")
            height, width = map(capture.get, (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
            check_size(str(number), int(height), int(width), remedy)
            self.fps = decoder.stated_rate(capture.get(cv2.CAP_PROP_FPS))
            for index in itertools.count():
                if not capture.grab():  # unplugged
                    return
                # By the clock: frames are dropped where the network is slower than the camera.
                now = time.monotonic()
                start = now if start is None else start
                self._times.append(now - start)
                yield index, functools.partial(_retrieve, capture)
        finally:
            capture.release()

    def _fitted(self, pictures):
        """The frames that are needed, at the size of the first, and None for the others."""
        length = 0
        for index, rgb in pictures:
            length = index + 1
            if not self._is_needed(index):
                yield None
                continue
            frame = rgb()
            if frame is None:
                length = index
                break
            self.size = self.size if any(self.size) else frame.shape[:2]
            if frame.shape[:2] != self.size:
                frame = cv2.resize(frame, self.size[::-1], interpolation=cv2.INTER_AREA)
            yield frame
        self.length = length

    def _images(self):
        paths = sorted(frames.files(self._path, IMAGES), key=_by_number)
        if not paths:
            raise InputError(
                f"{self._path}: no image in this folder ({', '.join(IMAGES)}); for videos in its "
                f"subfolders give --video='{self._path}/**'"
            )
        self.count = self.length = len(paths)
        self.images = tuple(path.name for path in paths)
        for index, path in enumerate(paths):
            yield index, functools.partial(self._image, path)

    def _image(self, path):
        frame = frames.read_image(path, "remove or replace it")
        if self.size not in ((0, 0), frame.shape[:2]):
            raise InputError(
                f"{path}: {frame.shape[0]}x{frame.shape[1]} pixels, but the images before it "
                f"{self.size[0]}x{self.size[1]}; the frames of a video are of one size"
            )
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _retrieve(capture):
    """The frame that a camera has grabbed, RGB uint8 [H, W, 3]; None where it cannot be decoded."""
    try:
        decoded, frame = capture.retrieve()
    except cv2.error:
        return None
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if decoded else None


def _by_number(path):
    """Sort key of a name, by which 2 is before 10."""
    parts = re.split("([0-9]+)", path.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


class Cuts:
    """Whether a film was cut between two frames, RGB uint8 [H, W, 3], at most CUT_REACH apart.

    Called for a film's frames one after the other, it keeps what it has of one for the next. A cut
    between views of one place may go unseen, and in a film without colours most do (58 % of those
    between ten clips of A2D).
    """

    def __init__(self) -> None:
        self._seen: tuple | None = None  # a frame; its small copy, its histogram

    def __call__(self, before: np.ndarray, after: np.ndarray) -> bool:
        known = self._seen if self._seen and self._seen[0] is before else _small(before)
        self._seen = now = _small(after)
        return _differ(*known[1:], *now[1:])


def _small(frame):
    """(the frame, a small copy, the histogram of that)."""
    small = cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA)
    return frame, small, cv2.calcHist([small], [0, 1, 2], None, [8] * 3, [0, 256] * 3)


def _differ(before, colours_before, after, colours_after):
    """Whether small copies and their histograms are of two shots."""
    if cv2.compareHist(colours_before, colours_after, cv2.HISTCMP_BHATTACHARYYA) <= CUT_COLOURS:
        return False
    levels = [np.float64(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)) for x in (before, after)]
    deviations = [each - each.mean() for each in levels]
    spread = np.prod([np.sqrt((each**2).mean()) for each in deviations])
    if spread < 4**2:  # hardly more than noise: there is nothing to correlate
        return bool(abs(levels[0].mean() - levels[1].mean()) > 64)
    return bool((deviations[0] * deviations[1]).mean() < CUT_LEVELS * spread)
