"""Video files, decoded by FFmpeg: frames with the times at which a player shows
them.
"""

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
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from a2d_tf.core.errors import MAX_PIXELS, InputError, check_size

Path = Union[str, os.PathLike]

DEFAULT_FPS = 25.0
# FFmpeg's formats that hold frames. Others are playlists, which name further files and
# addresses to be opened, whatever a file is called.
_CONTAINERS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,"
    "webm,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Containers that list their key frames, so that they can be sought in.
_INDEXED = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
# Streams, which may be cut anywhere, and go on with another film.
_STREAMS = ("hevc", "mpeg", "mpegts")
# Codecs whose packets are a frame each, but for damaged ones: packets tell the frames'
# numbers. Value: the NAL units at which decoding may begin. Files also list frames from
# which on the picture becomes whole little by little (H.264's recovery points).
_FRAME_A_PACKET = {
    "av1": None,
    "ffv1": None,
    "mjpeg": None,
    "prores": None,
    "vp9": None,
    "h264": "5",
    "hevc": "16-21",
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded frame.

    Attributes:
      seconds: when a player shows it, from the start of the video.
      duration: how long, seconds, as the file claims; the next picture may come earlier
        or later.
      stamp: its time as the file has it, or None.
      is_damaged: whether the file or the decoder says so; others that refer to it may
        be, too.
    """

    seconds: float
    duration: float
    stamp: int | None
    is_damaged: bool
    _frame: Any
    _converter: VideoReformatter

    def rgb(self) -> np.ndarray:
        """Convert it to RGB, uint8 [H, W, 3], turned and mirrored as a player does
        it.
        """
        # As ffmpeg: by the frame's matrix and range, BT.601 where it names none. RGB
        # itself has neither, but PyAV passes them on only where the two matrices
        # differ.
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

    `seconds` ascend, float64 [N]. `stamps` int64 [N] are the same in the file's units;
    empty if the file cannot be sought in. `keys` int64 [K] are those with which
    decoding may begin. `end` is when the last frame ends; None if there may be more.
    """

    until: float
    seconds: np.ndarray
    stamps: np.ndarray
    keys: np.ndarray
    end: float | None


class Decoder:
    """An open video file; a context manager.

    Args:
      remedy: what the user can do about a broken file; ends each message.

    Attributes:
      fps: frames a second as the file states it, on average; 25 where it does not.
      count: how many frames it claims to have, or None; also None where it was trimmed
        without encoding, as it then claims those of the whole film.
      duration: seconds that it claims to last, or None.
      is_broken: whether a frame that cannot be decoded has ended the pictures.

    Raises:
      InputError: no such file, one that cannot be decoded, or one that claims frames
        beyond `errors.MAX_PIXELS`.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        self._path = pathlib.Path(path)
        self._remedy = remedy
        self.is_broken = False
        self._open()
        self.fps = stated_rate(self._stream.average_rate, self._stream.guessed_rate)
        self.count = self._stream.frames or None
        seconds = (self._container.duration or 0) / av.time_base
        if self._stream.duration:
            seconds = float(self._stream.duration * self._base)
        self.duration = seconds if 0 < seconds < 2**31 else None
        if self.count and self.duration and self.count > self.duration * self.fps + 0.5:
            self.count = None

    def _open(self):
        try:
            # FFmpeg would take the start of a relative path, such as http:, for a
            # protocol.
            path = os.path.abspath(self._path)
            options = dict(_OPTIONS)
            self._container = av.open(
                path, metadata_errors="replace", container_options=options
            )
            # The cover of a piece of music is no video.
            films = self._container.streams.video
            self._stream = next(
                x for x in films if not x.disposition & Disposition.attached_pic
            )
            time_base = self._stream.time_base
            assert time_base  # FFmpeg gives one to every stream
            self._base = time_base
            # AVI has no times of frames but their order.
            self._is_untimed = self._container.format.name == "avi"
            self._is_stream = self._container.format.name in _STREAMS
            context = self._stream.codec_context
            height, width = context.height, context.width
        except (av.FFmpegError, AttributeError, OSError, StopIteration) as error:
            raise InputError(
                f"{self._path}: cannot be decoded (missing, truncated or not video);"
                f" {self._remedy}"
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

    def pictures(
        self, first: int = 0, timeline: Timeline | None = None
    ) -> Iterator[Picture]:
        """Decode to the end, or to the first frame that cannot be decoded. To be called
        once.

        Nothing is yielded behind a broken frame, so every frame keeps its number.

        Args:
          first: 0-based index of the first frame that is yielded.
          timeline: of this video; with it, decoding begins close to that frame.
        """
        if timeline is not None and 0 < first < len(timeline.stamps):
            found = self._sought(int(timeline.stamps[first]), timeline)
            if found is not None:
                yield from found
                return
        yield from itertools.islice(self._decoded(self._packets()), first, None)

    def _sought(self, wanted, timeline):
        """Return the pictures from the wanted stamp on, by the last key frame up to it.

        None if seeking fails; the position in the file is then its start.
        """
        keys = timeline.keys[timeline.keys <= wanted]
        with contextlib.suppress(av.FFmpegError):
            self._container.seek(int(keys[-1]), stream=self._stream)
            packets = self._packets()
            landed = next(packets, None)
            if landed is not None and landed.pts in keys:
                start = int(timeline.stamps[0])
                pictures = self._decoded(itertools.chain([landed], packets), start)
                for picture in pictures:
                    if picture.stamp == wanted:
                        return itertools.chain([picture], pictures)
                    if picture.stamp is None or picture.stamp > wanted:
                        break
        self._container.close()
        self._open()
        return None

    def _decoded(self, packets, start=None):
        """The pictures of packets; `start` is the stamp of the film's first one, if
        known.

        Where another film was appended, its times go on from the end of the one before.
        """
        base, before, origin, end = self._base, -math.inf, 0.0, 0.0
        converter, step = VideoReformatter(), 1 / self.fps
        for frame, begins, is_damaged in self._frames(packets):
            check_size(self._path, frame.height, frame.width, self._remedy)
            stamp = frame.dts if frame.pts is None or self._is_untimed else frame.pts
            if start is None or begins:
                start, origin = stamp, end
            seconds = max(0.0, before + step)
            if stamp is not None:
                seconds = origin + (stamp - start) * base.numerator / base.denominator
                if seconds <= before:
                    seconds = before + min(step, 1 / self.fps)
            step = seconds - before if before >= 0 else step
            # Streams store no durations, and FFmpeg guesses them.
            guess = self._is_stream or not frame.duration
            duration = step if guess else float(frame.duration * base)
            before, end = seconds, seconds + duration
            yield Picture(seconds, duration, stamp, is_damaged, frame, converter)

    def _frames(self, packets):
        """Yield (FFmpeg's frame, whether another film begins with it, whether it is
        damaged).

        What cannot be decoded ends them, but not before the first.
        """
        context, seen, begins = self._stream.codec_context, False, False
        damaged: set[int | None] = set()  # stamps of damaged packets
        for packet in self._decodable(packets):
            if packet is not None and packet.is_corrupt:
                damaged.add(packet.pts)
            try:
                for frame in context.decode(packet):
                    yield frame, begins, frame.is_corrupt or frame.pts in damaged
                    seen, begins = True, False
            except av.FFmpegError:
                self.is_broken = seen
                if seen:
                    return
            if packet is None:
                context.flush_buffers()
                damaged.clear()
                begins = True

    def _decodable(self, packets):
        """The packets, without those before a stream's first key frame; None ends a
        film in it.

        FFmpeg invents the pictures to which the first frames of a cut stream refer.
        """
        if not self._is_stream:
            yield from packets
            return
        last, waits, held = -math.inf, True, []
        for packet in packets:
            held.append(packet)
            if packet.size and packet.dts is None and last > -math.inf:
                # the rest of a cut frame, if the next packet is another film's
                continue
            if packet.dts is not None and packet.dts < last:
                yield None
                waits, held = True, [packet]
            last = last if packet.dts is None else packet.dts
            for each in held:
                waits = waits and each.size > 0 and not each.is_keyframe
                if not waits:
                    yield each
            held.clear()

    def _packets(self):
        """The packets from where the file is, to where it breaks off."""
        with contextlib.suppress(av.FFmpegError):
            yield from self._container.demux(self._stream)

    def timeline(self, until: float) -> Timeline:
        """Find the times of frames up to some seconds; nothing else may be called after
        it.

        Where packets tell them, they are read to the end, without decoding. Else,
        frames are.
        """
        codec = self._stream.codec_context.codec.canonical_name
        if self._container.format.name in _INDEXED and codec in _FRAME_A_PACKET:
            with contextlib.suppress(av.FFmpegError):
                found = self._timeline_of_packets(_FRAME_A_PACKET[codec])
                if found:
                    return found
            self._container.close()
            self._open()
        seconds, nothing, end = array.array("d"), np.zeros(0, np.int64), 0.0
        for picture in self._decoded(self._packets()):
            seconds.append(picture.seconds)
            end = picture.seconds + picture.duration
            if picture.seconds > until:
                return Timeline(until, np.array(seconds), nothing, nothing, None)
        return Timeline(math.inf, np.array(seconds), nothing, nothing, end)

    def _timeline_of_packets(self, units):
        """The timeline; None where packets do not tell the times.

        `units` are those of `_FRAME_A_PACKET`.
        """
        stamps, keys, end = array.array("q"), array.array("q"), -math.inf
        passing = units and BitStreamFilterContext(
            f"filter_units=pass_types={units}", self._stream
        )
        for packet in self._packets():
            if packet.size == 0:
                continue
            stamp, is_shown = packet.pts, not packet.is_discard
            if stamp is None:
                return None
            # those before the start of a trimmed film are decoded, and not shown
            if is_shown:
                stamps.append(stamp)
                end = max(end, stamp + (packet.duration or 1 / (self.fps * self._base)))
            if packet.is_keyframe and (not passing or passing.filter(packet)):
                keys.append(stamp)
            # cut within a group of pictures: what is shown depends on the decoder
            if not keys:
                return None
        ordered = np.unique(np.array(stamps, np.int64))
        if not len(stamps) or len(ordered) < len(stamps) or ordered[0] < keys[0]:
            return None
        start, base = int(ordered[0]), self._base
        seconds = (ordered - start) * float(base.numerator) / base.denominator
        ends = float((end - start) * base)
        return Timeline(math.inf, seconds, ordered, np.array(keys, np.int64), ends)


def stated_rate(*claimed: float | Fraction | None) -> float:
    """Return the first of claimed rates, frames a second, that says something; else
    25.
    """
    return next(
        (float(rate) for rate in claimed if rate and 1e-6 < rate < 1e6), DEFAULT_FPS
    )


def _turned(rgb, frame):
    """Turn and mirror a picture by the frame's display matrix, to the nearest
    quarter turn.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return rgb
    # A pixel (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    return rgb[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
