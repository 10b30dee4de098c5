"""Write video files, as RGB frames with their times."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from a2d_tf.core.errors import InputError

_CODECS = {  # encoders by preference, and their options
    # A key frame in two seconds or so, for quick jumps. Frames are sent in the order in which they
    # are shown, so that all players agree on their times.
    # x264's macroblock tree chooses quantisers by floating-point approximations, which differ
    # between processors; without it a film is the same everywhere.
    "libx264": {"preset": "veryfast", "crf": "20", "g": "50", "bf": "0", "mbtree": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "g": "50"},
}
_TICKS = 90_000  # a second; the usual rates are whole numbers of them
_LONGEST = _TICKS * 18_000  # between two frames: mp4 counts ticks in 32 bits, PyAV in 31
_BT601 = 6  # FFmpeg's AVCOL_SPC_SMPTE170M


class OutputError(InputError):
    """The results cannot be written, whatever the video."""


class Writer:
    """Writer of H.264 in mp4, which plays everywhere; playable once `close` was called.

    Where FFmpeg has no x264, it is VP9, which browsers play. Both take even sides only: the last
    row or column of an odd frame is repeated.

    Args:
      path: of the file, whatever its suffix.
      fps: frames a second on average; the last frame is shown for as long.
      size: (height, width) of the frames.

    Raises:
      OutputError: FFmpeg has neither encoder, or cannot write there, which shows with the frames.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float, size: tuple[int, int]):
        height, width = size
        self._path, self._padding = path, (height % 2, width % 2)
        self._start: float | None = None
        self._converter = VideoReformatter()  # one a frame would build its tables again
        self._pts, self._duration = -1, min(round(_TICKS / fps), _LONGEST)
        name = next(filter(_has, _CODECS), None)
        if name is None:
            raise OutputError(f"{path}: FFmpeg lacks {' and '.join(_CODECS)}; install av by pip")
        # The index in front, so that a browser need not fetch the file to its end.
        options = {"movflags": "+faststart"}
        self._file = av.open(os.path.abspath(path), "w", format="mp4", options=options)
        rate = Fraction(max(fps, 1)).limit_denominator(1001)
        self._stream: Any = self._file.add_stream(name, rate, _CODECS[name])
        context = self._stream.codec_context
        context.height, context.width = height + self._padding[0], width + self._padding[1]
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, _TICKS)
        # x264's answer depends on their number, and so would the bytes on the machine's cores.
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
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
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
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        """Finish the file."""
        if self._pts >= 0:
            self._mux(None)


def _has(codec):
    """Whether FFmpeg has an encoder."""
    try:
        return bool(av.codec.Codec(codec, "w"))
    except av.codec.codec.UnknownCodecError:
        return False
