"""Read video files, folders of images and cameras, and write video files: RGB frames
with times.
"""

from __future__ import annotations

import array
import contextlib
import functools
import itertools
import math
import os
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from a2d_tf.core.errors import InputError
from a2d_tf.data import decoder, video_frames
from a2d_tf.data.timeline import Timeline

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_REMEDY = "re-encode it"
# A key frame in two seconds or so, for quick jumps. Frames are sent in the order in
# which they are shown, so that all players agree on their times. x264's macroblock tree
# chooses quantisers by floating-point approximations, which differ between processors.
_X264 = {"preset": "veryfast", "crf": "20", "g": "50", "bf": "0", "mbtree": "0"}
_TICKS = 90_000  # a second; the usual rates are whole numbers of them
# between two frames: mp4 counts ticks in 32 bits, PyAV in 31
_LONGEST = _TICKS * 18_000
_BT601 = 6  # FFmpeg's AVCOL_SPC_SMPTE170M


class Reader:
    """Reader of a video file, of a folder of images (in the order of their names), or
    of a camera.

    Its `frames` are RGB uint8 [H, W, 3], and can be had once.

    Args:
      path: file or folder; or digits that name no file, the index of a camera, which
        ends only when it is unplugged.

    Attributes:
      size: (height, width).
      count: how many frames the source claims to have, or None.
      duration: seconds that a file claims to last, or None.
      length: how many frames it has; None until that is known.
      damaged: 0-based indices of those read so far that are damaged, as far as a file
        or its decoder says so.
      name: name of the file or folder, or the index of the camera.
      images: names of the images of a folder; None for another source.

    Raises:
      InputError: no such file or camera, not one frame in it, an image that is
        unreadable, or a frame of another size than those before it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = pathlib.Path(path)
        self._stated, self.size = decoder.DEFAULT_FPS, (0, 0)
        self.count: int | None = None
        self.duration: float | None = None
        self.length: int | None = None
        self.damaged: set[int] = set()
        self.name = os.path.basename(os.path.abspath(path))
        self.images: tuple[str, ...] | None = None
        self._is_needed: Callable[[int], bool] = lambda index: True
        # Seconds at which frames begin, and at which a file ends; none of a folder of
        # images.
        self._times = array.array("d")
        self._timeline: Timeline | None = None
        self._is_camera = False
        remedy = _REMEDY
        if self._path.is_dir():
            remedy = (
                f"use a folder of images ({', '.join(IMAGES)}), or a glob: '{path}/**'"
            )
            self._frames = self._fitted(self._images())
        elif self._path.exists():
            self._frames = self._fitted(self._file())
        elif str(path).isdigit():
            self._is_camera = True
            remedy = "use the index of a working camera that is not in use, or a file"
            self._frames = self._fitted(self._camera(int(str(path))))
        else:
            raise InputError(
                f"{path}: no such video; --video takes a file, a folder of images or a"
                " camera (0)"
            )
        self._first = next(self._frames, None)
        if self._first is None:
            raise InputError(f"{path}: no frames can be decoded; {remedy}")

    def frames(
        self, is_needed: Callable[[int], bool] | None = None, start: int = 0
    ) -> Iterator[np.ndarray | None]:
        """Iterate, with None in place of the frames that are not needed, which costs
        less.

        Args:
          is_needed: 0-based index of a frame -> bool; by default all are.
          start: none before this one is needed. Where `index` was asked before,
            decoding begins close to it.
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
        """Return the 0-based index of the first frame that begins at a time or later.

        Frames of a camera are counted as if it dropped none.
        """
        # tables round to milliseconds, and 0.4 * 30 may be more than 12
        seconds -= 6e-4
        if self.images is not None or self._is_camera:
            return max(0, math.ceil(seconds * self.fps))
        if seconds <= 0:
            return 0
        if self._timeline is None or self._timeline.until < seconds:
            with decoder.Decoder(self._path, _REMEDY) as video:
                self._timeline = video.timeline(seconds)
            if self._timeline.end is not None:
                self.count, self.duration = (
                    len(self._timeline.seconds),
                    self._timeline.end,
                )
        return int(np.searchsorted(self._timeline.seconds, seconds))

    @property
    def fps(self) -> float:
        """Frames a second, on average: as the source states, unless those read so far
        differ.

        25 where there is neither.
        """
        if self._times and not self._is_camera:
            intervals, seconds = len(self._times) - 1, self._times[-1]
            if abs(self._stated * seconds - intervals) > 1:
                return intervals / seconds
        return self._stated

    @property
    def lasts(self) -> float | None:
        """Seconds from its start to its end, or those that it claims; None if
        unknown.
        """
        return self.duration if self.length is None else self.seconds(self.length)

    @property
    def expected(self) -> int | None:
        """How many frames there may be, by the claimed number or duration; None if
        unknown.
        """
        if self.count or not self.duration:
            return self.count
        return max(1, round(self.duration * self.fps))

    def seconds(self, index: int) -> float:
        """Return the time at which the frame of a 0-based index begins, as a player
        shows it.

        Args:
          index: of a frame; behind those read so far, the time at which the newest one
            begins, or ends where it is the last.
        """
        if self.images is not None:
            return min(index, self.count or 0) / self.fps
        if self._is_camera and index >= len(self._times):
            return self._times[-1] + 1 / self.fps
        return self._times[min(index, len(self._times) - 1)]

    def _file(self, start=0):
        """Yield (index, function that makes it RGB)."""
        with decoder.Decoder(self._path, _REMEDY) as video:
            self._stated, last = video.fps, None
            if self._timeline is None:
                self.count, self.duration = video.count, video.duration
            for index, picture in enumerate(video.frames(start, self._timeline), start):
                self._times.append(picture.seconds)
                if picture.is_damaged:
                    self.damaged.add(index)
                if last is not None:
                    yield index - 1, last.rgb
                last = picture
            if last is not None:
                self._times.append(last.seconds + last.duration)
                yield index, last.rgb

    def _camera(self, number):
        capture, start = cv2.VideoCapture(number), None
        try:
            self._stated = decoder.stated_rate(capture.get(cv2.CAP_PROP_FPS))
            for index in itertools.count():
                if not capture.grab():  # unplugged, or no such camera
                    return
                # By the clock: frames are dropped where the network is slower than the
                # camera.
                now = time.monotonic()
                start = now if start is None else start
                self._times.append(now - start)
                yield index, functools.partial(_retrieve, capture)
        finally:
            capture.release()

    def _fitted(self, pictures):
        """The frames that are needed, at the size of the first, and None for the
        others.
        """
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
                name = self.images[index] if self.images else f"frame {index + 1}"
                sizes = "{}x{} pixels, earlier ones {}x{}".format(
                    *frame.shape[:2], *self.size
                )
                raise InputError(
                    f"{self._path}: {name} has {sizes}; split the video there, or scale"
                    " it to one size"
                )
            yield frame
        self.length = length

    def _images(self):
        paths = sorted(video_frames.files(self._path, IMAGES), key=_by_number)
        for path, after in zip(paths, paths[1:]):
            one, other = _by_number(path), _by_number(after)
            # a name without a number
            if one == other or (len(one) == 1) != (len(other) == 1):
                problem = f"{path.name} and {after.name} are not two numbered frames"
                raise InputError(f"{self._path}: {problem}; remove what is no frame")
        self.count = self.length = len(paths)
        self.images = tuple(path.name for path in paths)
        for index, path in enumerate(paths):
            yield (
                index,
                functools.partial(
                    video_frames.read_image, path, "remove or replace it"
                ),
            )


def _retrieve(capture):
    decoded, frame = capture.retrieve()
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if decoded else None


def _by_number(path):
    """Sort key of a name, by which 2 is before 10; without the suffix."""
    parts = re.split("([0-9]+)", path.stem)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


class Writer:
    """Writer of H.264 in mp4, which plays everywhere; playable once `close` was called.

    x264 takes even sides only: the last row or column of an odd frame is repeated.

    Args:
      fps: frames a second on average; the last frame is shown for as long.
      size: (height, width) of the frames.

    Raises:
      InputError: the file cannot be written, or the frames are too large for the
        encoder; both show with the frames.
    """

    def __init__(
        self, path: str | os.PathLike[str], fps: float, size: tuple[int, int]
    ) -> None:
        height, width = size
        self._path, self._size, self._padding = path, size, (height % 2, width % 2)
        self._start: float | None = None
        self._converter = VideoReformatter()  # one a frame would build its tables again
        self._pts, self._duration = -1, min(round(_TICKS / fps), _LONGEST)
        # The index in front, so that a browser need not fetch the file to its end.
        options = {"movflags": "+faststart"}
        self._file = av.open(os.path.abspath(path), "w", format="mp4", options=options)
        rate = Fraction(max(fps, 1)).limit_denominator(1001)
        self._stream: Any = self._file.add_stream("libx264", rate, _X264)
        context = self._stream.codec_context
        context.height, context.width = (
            height + self._padding[0],
            width + self._padding[1],
        )
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, _TICKS)
        # x264's answer depends on their number, and so would the bytes on the machine's
        # cores.
        context.thread_count = 1
        # What swscale makes of RGB, and what players would have to guess.
        context.colorspace, context.color_range = _BT601, 1

    def write(self, frame: np.ndarray, seconds: float) -> None:
        """Append a frame.

        Args:
          frame: RGB uint8 [height, width, 3].
          seconds: when it is shown, on any clock; the first frame is shown at once.
        """
        if any(self._padding):
            rows, columns = self._padding
            frame = cv2.copyMakeBorder(frame, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        picture = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(frame), format="rgb24"
        )
        self._start = seconds if self._start is None else self._start
        due = round((seconds - self._start) * _TICKS)
        self._pts = min(max(due, self._pts + 1), self._pts + _LONGEST)
        picture = self._converter.reformat(picture, format="yuv420p")
        picture.pts, picture.time_base = self._pts, Fraction(1, _TICKS)
        self._mux(picture)

    def _mux(self, picture):
        try:
            for packet in self._stream.encode(picture):
                packet.duration = self._duration
                self._file.mux(packet)
            if picture is None:
                self._file.close()
        except av.FFmpegError as error:
            self._pts = -1  # to write on would crash FFmpeg, or fail again
            with contextlib.suppress(av.FFmpegError):
                self._file.close()
            # x264 takes sides of 16384 pixels at most
            size = "{}x{}".format(*self._size)
            raise InputError(
                f"{self._path}: frames of {size} pixels cannot be written"
                f" ({error.strerror}); free disk space, or omit 'overlay' and 'page'"
                " from --results"
            ) from error

    def close(self) -> None:
        """Finish the file."""
        if self._pts >= 0:
            self._mux(None)
