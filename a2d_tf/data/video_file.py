"""A video file as FFmpeg opens it: its film, and what it says of itself."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import cv2
from av.stream import Disposition

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import Path
from a2d_tf.core.limits import MAX_PIXELS, check_size

# FFmpeg's formats that hold frames. Others are playlists, which name further files and
# addresses to be opened, whatever a file is called.
_CONTAINERS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,"
    "nut,ogg,rm,webm,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Streams may be cut anywhere, and go on with another film.
_STREAMS = ("hevc", "mpeg", "mpegts")


@dataclasses.dataclass(frozen=True)
class VideoFile:
    """An open video file.

    Attributes:
      container: PyAV's file.
      stream: its film, PyAV's stream.
      time_base: seconds of a unit of its stamps.
      format_name: of the container, as FFmpeg names it.
    """

    container: Any
    stream: Any
    time_base: Fraction
    format_name: str

    @classmethod
    def open(cls, path: Path, remedy: str) -> VideoFile:
        """Open a video file.

        Args:
          remedy: what the user can do about a broken file; ends each message.

        Raises:
          InputError: no such file, one that cannot be decoded, or one that claims
            frames beyond `limits.MAX_PIXELS`.
        """
        try:
            # FFmpeg would take the start of a relative path, such as http:, for a
            # protocol.
            container = av.open(
                os.path.abspath(path),
                metadata_errors="replace",
                container_options=dict(_OPTIONS),
            )
            films = []
            for video_stream in container.streams.video:
                # The cover of a piece of music is no video.
                if not video_stream.disposition & Disposition.attached_pic:
                    films.append(video_stream)
            stream = films[0]
            time_base = stream.time_base
            assert time_base  # FFmpeg gives one to every stream
            context = stream.codec_context
            height = context.height
            width = context.width
        except (av.FFmpegError, AttributeError, OSError, IndexError) as error:
            raise InputError(
                f"{path}: cannot be decoded (missing, truncated or not video); {remedy}"
            ) from error
        check_size(path, height, width, remedy)
        # FFmpeg would take every core, in each of many worker processes.
        context.thread_count = cv2.getNumThreads()
        context.thread_type = "AUTO"
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return cls(container, stream, time_base, container.format.name)

    @property
    def has_times(self) -> bool:
        """False where frames have no times but their order."""
        return self.format_name != "avi"

    @property
    def is_stream(self) -> bool:
        """Whether the file may be cut anywhere."""
        return self.format_name in _STREAMS

    @property
    def is_transport_stream(self) -> bool:
        """Whether it is an MPEG transport stream."""
        return self.format_name == "mpegts"

    @property
    def codec_name(self) -> str:
        """The codec of the film, as FFmpeg names it."""
        return self.stream.codec_context.codec.canonical_name

    def packets(self) -> Iterator[Any]:
        """Yield the packets from the position in the file, to where it breaks off."""
        with contextlib.suppress(av.FFmpegError):
            yield from self.container.demux(self.stream)

    def claimed_duration(self) -> float | None:
        """Return the seconds that it claims to last; None where it claims none."""
        seconds = (self.container.duration or 0) / av.time_base
        if self.stream.duration:
            seconds = float(self.stream.duration * self.time_base)
        if 0 < seconds < 2**31:
            return seconds
        return None

    def film_start(self, first_stamp: int | None) -> float:
        """Return how many seconds after its start the first frame is shown.

        Args:
          first_stamp: of that frame.
        """
        start = self.container.start_time
        if start is None or first_stamp is None or not self.has_times:
            return 0.0
        # Below 0 is what a sound's decoder needs before its first sample.
        seconds = float(first_stamp * self.time_base) - max(0, start / av.time_base)
        return round(max(0.0, seconds), 6)
