"""Video files, decoded by FFmpeg: frames with the times at which a player shows them."""

from __future__ import annotations

import array
import contextlib
import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Union

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from a2d_tf.core.errors import MAX_PIXELS, InputError, check_size

Path = Union[str, os.PathLike]

DEFAULT_FPS = 25.0
# FFmpeg's formats that hold frames. Others are playlists, which name further files and addresses to
# be opened, whatever a file is called.
_CONTAINERS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,"
    "webm,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_REORDERED = 8  # most frames, as a rule, that are sent before one that is shown earlier
# Codecs whose packets are a frame each, but for damaged ones: packets tell the frames' numbers.
_FRAME_A_PACKET = {"av1", "ffv1", "h264", "hevc", "mjpeg", "prores", "vp9"}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded frame.

    Attributes:
      seconds: when a player shows it, from the start of the video.
      duration: how long, seconds, as the file claims; the next picture may come earlier or later.
      stamp: its time as the file has it, or None.
    """

    seconds: float
    duration: float
    stamp: int | None
    _frame: Any
    _converter: VideoReformatter

    def rgb(self) -> np.ndarray:
        """Convert it to RGB, uint8 [H, W, 3], turned and mirrored as a player does it."""
        # As ffmpeg: by the frame's matrix and range, BT.601 where it names none. RGB itself has
        # neither, but PyAV passes them on only where the two matrices differ.
        rgb = self._converter.reformat(
            self._frame,
            format="rgb24",
            src_colorspace=self._frame.colorspace,
            dst_colorspace=Colorspace.FCC,
            src_color_range=self._frame.color_range,
            dst_color_range=self._frame.color_range,
            interpolation=Interpolation.BICUBIC,
        ).to_ndarray()
        return np.ascontiguousarray(_turned(rgb, self._frame))


@dataclasses.dataclass(frozen=True)
class Timeline:
    """When frames begin: all before `until`, perhaps some after it.

    `seconds` ascend, float64 [N]. `stamps` int64 [N] are the same in the file's units; empty if the
    file cannot be sought in.
    """

    until: float
    seconds: np.ndarray
    stamps: np.ndarray


class Decoder:
    """An open video file; a context manager.

    Args:
      remedy: what the user can do about a broken file; ends each message.

    Attributes:
      fps: frames a second as the file states it, on average; 25 where it does not.
      count: how many frames it claims to have, or None.
      duration: seconds that it claims to last, or None.

    Raises:
      InputError: no such file, one that cannot be decoded, or one that claims frames beyond
        `errors.MAX_PIXELS`.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        self._path, self._remedy = pathlib.Path(path), remedy
        self._open()
        self.fps = stated_rate(self._stream.average_rate, self._stream.guessed_rate)
        self.count = self._stream.frames or None
        seconds = (self._container.duration or 0) / av.time_base
        if self._stream.duration:
            seconds = float(self._stream.duration * self._base)
        self.duration = seconds if 0 < seconds < 2**31 else None

    def _open(self):
        try:
            # FFmpeg would take the start of a relative path, such as http:, for a protocol.
            path = os.path.abspath(self._path)
            self._container = av.open(
                path, metadata_errors="replace", container_options=dict(_OPTIONS)
            )
            # The cover of a piece of music is no video.
            films = self._container.streams.video
            self._stream = next(x for x in films if not x.disposition & Disposition.attached_pic)
            time_base = self._stream.time_base
            assert time_base  # FFmpeg gives one to every stream
            self._base = time_base
            # AVI has no times of frames but their order.
            self._is_untimed = self._container.format.name == "avi"
            context = self._stream.codec_context
            height, width = context.height, context.width
        except (av.FFmpegError, AttributeError, OSError, StopIteration) as error:
            raise InputError(
                f"{self._path}: cannot be decoded (missing, truncated or not video); {self._remedy}"
            ) from error
        check_size(self._path, height, width, self._remedy)
        # FFmpeg would take every core, in each of many worker processes.
        context.thread_count = cv2.getNumThreads()
        context.thread_type = "AUTO"
        context.options = {"max_pixels": str(MAX_PIXELS)}

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def pictures(self, first: int = 0, timeline: Timeline | None = None) -> Iterator[Picture]:
        """Decode to the end, or to the first frame that cannot be decoded. To be called once.

        Nothing is yielded behind a broken frame, so every frame keeps its number.

        Args:
          first: 0-based index of the first frame that is yielded.
          timeline: of this video; with it, decoding begins close to that frame.
        """
        if timeline is not None and _REORDERED < first < len(timeline.stamps):
            stamps = timeline.stamps
            found = self._sought(int(stamps[first]), int(stamps[first - _REORDERED]))
            if found is not None:
                yield from found
                return
        yield from itertools.islice(self._decoded(), first, None)

    def _sought(self, wanted, start):
        """Return the pictures from the wanted stamp on, by the key frame before `start`.

        None if seeking fails; the position in the file is then unchanged.
        """
        with contextlib.suppress(av.FFmpegError):
            self._container.seek(start, stream=self._stream)
            pictures = self._decoded()
            for picture in pictures:
                if picture.stamp == wanted:
                    return itertools.chain([picture], pictures)
                if picture.stamp is None or picture.stamp > wanted:
                    break
        self._container.close()
        self._open()
        return None

    def _decoded(self):
        """The pictures from where the file is."""
        base, before = self._base, -math.inf
        start = None if self._is_untimed else self._stream.start_time
        converter = VideoReformatter()
        for frame in self._frames():
            check_size(self._path, frame.height, frame.width, self._remedy)
            stamp = frame.dts if frame.pts is None or self._is_untimed else frame.pts
            start = stamp if start is None else start
            seconds = -math.inf
            if stamp is not None:
                seconds = (stamp - start) * base.numerator / base.denominator
            if seconds <= before or stamp is None:
                seconds = max(0.0, before + 1 / self.fps)
            duration = float(frame.duration * base) if frame.duration else 1 / self.fps
            before = seconds
            yield Picture(seconds, duration, stamp, frame, converter)

    def _frames(self):
        """FFmpeg's frames from where the file is; damage ends them, but not before the first."""
        seen = False
        for packet in self._packets():
            try:
                for frame in packet.decode():
                    seen = True
                    yield frame
            except av.FFmpegError:
                if seen:
                    return

    def _packets(self):
        """The packets from where the file is, to where it breaks off."""
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError:
            return

    def timeline(self, until: float) -> Timeline:
        """Find the times of frames up to some seconds; nothing else may be called after it.

        Packets are read without decoding them where each is a frame. Else, frames are decoded.
        """
        codec = self._stream.codec_context.codec.canonical_name
        if codec in _FRAME_A_PACKET and not self._is_untimed:
            found = self._timeline_of_packets(until)
            if found:
                return found
            self._container.close()
            self._open()
        seconds = array.array("d")
        for picture in self._decoded():
            seconds.append(picture.seconds)
            if picture.seconds > until:
                break
        return Timeline(until, np.array(seconds), np.zeros(0, np.int64))

    def _timeline_of_packets(self, until):
        """The timeline; None where packets do not tell the times."""
        base, start = self._base, self._stream.start_time
        stamps, first = array.array("q"), None
        if start is None:
            return None
        for packet in self._packets():
            if packet.size == 0:
                continue
            if packet.pts is None:
                return None
            if packet.is_keyframe and first is None:
                first = packet.pts
            # Before the start of a trimmed film: decoded, and not shown.
            if not packet.is_discard:
                stamps.append(packet.pts)
            # Frames are sent before they are shown: those that follow begin later than this.
            if packet.dts is not None and (packet.dts - start) * float(base) > until:
                break
        ordered = np.unique(np.array(stamps, np.int64))
        if first is None or len(ordered) < len(stamps):
            return None
        ordered = ordered[ordered >= first]  # decoding begins with a key frame
        seconds = (ordered - start) * float(base.numerator) / base.denominator
        return Timeline(until, seconds, ordered)


def stated_rate(*claimed: float | Fraction | None) -> float:
    """Return the first credible one of claimed rates, frames a second; 25 where there is none."""
    # Streams of variable rate claim 0 or the tick of their clock, 600 or more a second.
    return next((float(rate) for rate in claimed if rate and 0.01 <= rate < 600), DEFAULT_FPS)


def _turned(rgb, frame):
    """Turn and mirror a picture by the frame's display matrix, to the nearest quarter turn."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return rgb
    # A pixel (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
