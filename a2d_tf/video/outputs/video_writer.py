"""Write a video file that plays everywhere: H.264 in mp4."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from a2d_tf.core.errors import InputError

# A key frame in two seconds or so, for quick jumps. Frames are sent in the order in
# which they are shown, so that all players agree on their times. x264's macroblock tree
# chooses quantisers by floating-point approximations, which differ between processors.
_X264 = {"preset": "veryfast", "crf": "20", "g": "50", "bf": "0", "mbtree": "0"}
# The index in front, so that a browser need not fetch the file to its end.
_MP4 = {"movflags": "+faststart"}
_TICKS = 90_000  # a second; the usual rates are whole numbers of them
_TIME_BASE = Fraction(1, _TICKS)
# Ticks between two frames: mp4 counts them in 32 bits, PyAV in 31.
_MOST_TICKS = _TICKS * 18_000
# What swscale makes of RGB: FFmpeg's AVCOL_SPC_SMPTE170M and AVCOL_RANGE_MPEG.
_BT601 = 6
_LIMITED_RANGE = 1


class Writer:
    """Writer of a video file, H.264 in mp4, frame by frame.

    `open` makes one. The file can be played once `close` was called.

    Args:
      path: path of the file, for errors.
      size: (height, width) of the frames, in pixels.
      ticks: how long the last frame is shown, in ticks of 1/90000 s.
      container: FFmpeg's open output file, as PyAV has it.
      stream: the video stream in it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        size: tuple[int, int],
        ticks: int,
        container: Any,
        stream: Any,
    ) -> None:
        self._path = path
        self._size = size
        self._ticks = ticks
        self._container = container
        self._stream = stream
        self._converter = VideoReformatter()  # one a frame would build its tables again
        self._start: float | None = None  # seconds
        # Ticks at which the newest frame is shown; -1 if there is none, nor a file.
        self._pts = -1

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], fps: float, size: tuple[int, int]
    ) -> Writer:
        """Begin a file; it is created with the first frame.

        Args:
          path: path of the file.
          fps: number of frames a second on average; the last frame is shown for 1 / fps
            seconds.
          size: (height, width) of the frames, in pixels.

        Raises:
          InputError: later, from `write` and `close`, if the file cannot be written or
            the frames are too large for the encoder.
        """
        container = av.open(os.path.abspath(path), "w", format="mp4", options=_MP4)
        rate = Fraction(max(fps, 1)).limit_denominator(1001)
        stream: Any = container.add_stream("libx264", rate, _X264)
        context = stream.codec_context
        height, width = size
        # x264 takes even sides only.
        context.height = height + height % 2
        context.width = width + width % 2
        context.pix_fmt = "yuv420p"
        context.time_base = _TIME_BASE
        # x264's answer depends on their number, and so would the bytes on the machine's
        # cores.
        context.thread_count = 1
        # Players would have to guess them.
        context.colorspace = _BT601
        context.color_range = _LIMITED_RANGE
        ticks = min(round(_TICKS / fps), _MOST_TICKS)
        return cls(path, size, ticks, container, stream)

    def write(self, frame: np.ndarray, seconds: float) -> None:
        """Append a frame; the last row or column of an odd size is repeated.

        Args:
          frame: RGB uint8 [height, width, 3].
          seconds: time at which the frame is shown, on any clock that does not run
            backwards; the first frame is shown at the start of the file.

        Raises:
          InputError: the file cannot be written.
        """
        rows = self._size[0] % 2
        columns = self._size[1] % 2
        if rows or columns:
            frame = cv2.copyMakeBorder(frame, 0, rows, 0, columns, cv2.BORDER_REPLICATE)
        picture = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(frame), format="rgb24"
        )
        if self._start is None:
            self._start = seconds
        due = round((seconds - self._start) * _TICKS)
        self._pts = min(max(due, self._pts + 1), self._pts + _MOST_TICKS)
        picture = self._converter.reformat(picture, format="yuv420p")
        picture.pts = self._pts
        picture.time_base = _TIME_BASE
        self._mux(picture)

    def close(self) -> None:
        """Finish the file; if no frame was written, there is none.

        Raises:
          InputError: the file cannot be written.
        """
        if self._pts >= 0:
            self._mux(None)

    def _mux(self, picture: Any) -> None:
        """Encode a picture; None ends the file."""
        try:
            for packet in self._stream.encode(picture):
                packet.duration = self._ticks
                self._container.mux(packet)
            if picture is None:
                self._container.close()
        except av.FFmpegError as error:
            self._pts = -1  # to write on would crash FFmpeg, or fail again
            with contextlib.suppress(av.FFmpegError):
                self._container.close()
            # x264 takes sides of 16384 pixels at most
            height, width = self._size
            raise InputError(
                f"{self._path}: frames of {height}x{width} pixels cannot be written"
                f" ({error.strerror}); free disk space, or omit 'overlay' and 'page'"
                " from --results"
            ) from error
