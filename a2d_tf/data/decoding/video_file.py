"""A video file as FFmpeg opens it: its video stream, and what its headers say."""

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

# FFmpeg's formats that hold frames. A file of another format may be a playlist, by
# which FFmpeg would open further files and addresses.
_CONTAINERS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,"
    "nut,ogg,rm,webm,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Formats that may be cut anywhere, and may go on with another recording.
_STREAMS = ("hevc", "mpeg", "mpegts")


@dataclasses.dataclass(frozen=True)
class VideoFile:
    """An open video file: its stream of frames, and what its headers claim.

    Attributes:
      container: PyAV's container, `av.container.InputContainer`.
      stream: PyAV's stream of the video, the first that is not a still picture.
      time_base: unit of the stream's stamps, seconds. A stamp is the time of a frame as
        the file stores it.
      format_name: FFmpeg's name of the container's format, such as 'mpegts'.
    """

    container: Any
    stream: Any
    time_base: Fraction
    format_name: str

    @classmethod
    def open(cls, path: Path, remedy: str) -> VideoFile:
        """Open a video file; close its `container` in the end.

        Args:
          path: the file.
          remedy: what the user can do about a broken file; the end of each error
            message.

        Raises:
          InputError: the file does not exist, cannot be decoded, or claims frames of
            more than `limits.MAX_PIXELS`.
        """
        try:
            # FFmpeg would take the start of a relative path, such as http:, for a
            # protocol.
            container = av.open(
                os.path.abspath(path),
                metadata_errors="replace",
                container_options=dict(_OPTIONS),
            )
            video_streams = []
            for video_stream in container.streams.video:
                # A stream may be a still picture, such as the cover of music.
                if not video_stream.disposition & Disposition.attached_pic:
                    video_streams.append(video_stream)
            stream = video_streams[0]
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
        # By default FFmpeg would use all cores in each of many worker processes.
        context.thread_count = cv2.getNumThreads()
        context.thread_type = "AUTO"
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return cls(container, stream, time_base, container.format.name)

    @property
    def has_times(self) -> bool:
        """Whether the file stores the times of frames, and not only their order."""
        return self.format_name != "avi"

    @property
    def is_stream(self) -> bool:
        """Whether the file may be cut anywhere and go on with another recording.

        So it is for the formats 'hevc', 'mpeg' and 'mpegts'.
        """
        return self.format_name in _STREAMS

    @property
    def is_transport_stream(self) -> bool:
        """Whether the file is an MPEG transport stream."""
        return self.format_name == "mpegts"

    @property
    def codec_name(self) -> str:
        """FFmpeg's name of the video's codec, such as 'h264'."""
        return self.stream.codec_context.codec.canonical_name

    def packets(self) -> Iterator[Any]:
        """Yield PyAV's packets from the present position to the end or a fault."""
        with contextlib.suppress(av.FFmpegError):
            yield from self.container.demux(self.stream)

    def claimed_duration(self) -> float | None:
        """Return the length in seconds that the headers state; None without one."""
        seconds = (self.container.duration or 0) / av.time_base
        if self.stream.duration:
            seconds = float(self.stream.duration * self.time_base)
        if 0 < seconds < 2**31:
            return seconds
        return None

    def first_frame_time(self, first_stamp: int | None) -> float:
        """Return the time at which a player shows the first frame, in seconds.

        Args:
          first_stamp: stamp of the first frame; None if it has none.
        """
        start = self.container.start_time
        if start is None or first_stamp is None or not self.has_times:
            return 0.0
        # A start below 0 is data that a sound's decoder needs before the first sample.
        seconds = float(first_stamp * self.time_base) - max(0, start / av.time_base)
        return round(max(0.0, seconds), 6)
