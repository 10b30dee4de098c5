"""Video files, decoded by FFmpeg: frames, and when a player shows them."""

from __future__ import annotations

import array
import contextlib
import itertools
import math
import os
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, Union

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_PIXELS, check_size
from a2d_tf.data import timeline as timelines
from a2d_tf.data import transport_stream
from a2d_tf.data.decoded_frame import DecodedFrame
from a2d_tf.data.film_clock import FilmClock
from a2d_tf.data.timeline import Timeline

Path = Union[str, os.PathLike]

DEFAULT_FPS = 25.0
# FFmpeg's formats that hold frames. Others are playlists, which name further files and
# addresses to be opened, whatever a file is called.
_CONTAINERS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,"
    "nut,ogg,rm,webm,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# Streams may be cut anywhere, and go on with another film.
_STREAMS = ("hevc", "mpeg", "mpegts")
_TRANSPORT_STREAM = "mpegts"
# In H.264 and HEVC, as many frames at most may be stored behind a later one.
_MAX_REORDERED = 16


class _VideoFile(NamedTuple):
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

    @property
    def has_times(self) -> bool:
        """False where frames have no times but their order."""
        return self.format_name != "avi"

    @property
    def is_stream(self) -> bool:
        """Whether the file may be cut anywhere."""
        return self.format_name in _STREAMS


class _FfmpegFrame(NamedTuple):
    """A frame as FFmpeg decodes it.

    Attributes:
      frame: PyAV's frame.
      begins_film: whether another film in the file begins with it.
      is_damaged: whether the file or the decoder says so.
    """

    frame: Any
    begins_film: bool
    is_damaged: bool


class _FilmEnd(NamedTuple):
    """Stands between the packets of two films.

    Attributes:
      clock_goes_on: whether the times of the second film go on from those of the first.
    """

    clock_goes_on: bool


class Decoder:
    """An open video file; a context manager.

    Args:
      remedy: what the user can do about a broken file; ends each message.

    Attributes:
      fps: frames a second as the file states it, on average; 25 where it does not.
      count: how many frames it claims to have, or None; also None where it was trimmed
        without encoding, as it then claims those of the whole film.
      duration: seconds that it claims to last, or None.
      film_start: when the first frame is shown, in seconds from the start of the file,
        from which players count: sound, or what cannot be decoded, may come before it.
        None until a frame was decoded. Times of frames count from the first one.
      is_broken: whether a frame that cannot be decoded has ended the frames.

    Raises:
      InputError: no such file, one that cannot be decoded, or one that claims frames
        beyond `limits.MAX_PIXELS`.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        self._path = pathlib.Path(path)
        self._remedy = remedy
        self.is_broken = False
        self._file = _open(self._path, remedy)
        stream = self._file.stream
        self._gaps: transport_stream.GapReader | None = None
        if self._file.format_name == _TRANSPORT_STREAM:
            self._gaps = transport_stream.GapReader(self._path, stream.id)
        self.fps = stated_rate(stream.average_rate, stream.guessed_rate)
        self.count: int | None = stream.frames or None
        self.duration = _claimed_duration(self._file)
        self.film_start: float | None = None
        if self.count and self.duration and self.count > self.duration * self.fps + 0.5:
            self.count = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.container.close()

    def frames(
        self, first: int = 0, timeline: Timeline | None = None
    ) -> Iterator[DecodedFrame]:
        """Decode to the end, or to the first broken frame; call it once.

        Nothing is yielded behind a broken frame, so every frame keeps its number.

        Args:
          first: 0-based index of the first frame that is yielded.
          timeline: of this video; with it, decoding begins close to that frame.
        """
        if timeline is not None and 0 < first < len(timeline.stamps):
            frames = self._frames_from(int(timeline.stamps[first]), timeline)
            if frames is not None:
                yield from frames
                return
        yield from itertools.islice(self._timed_frames(self._packets()), first, None)

    def timeline(self, until: float) -> Timeline:
        """Find the times of frames up to some seconds; call nothing else after it.

        Where packets tell the times, they are read to the end, without decoding. Else
        the frames are decoded.
        """
        codec_name = self._file.stream.codec_context.codec.canonical_name
        if timelines.is_in_packets(self._file.format_name, codec_name):
            with contextlib.suppress(av.FFmpegError):
                timeline = timelines.of_packets(
                    self._packets(), self._file.stream, self.fps
                )
                if timeline is not None:
                    return timeline
            self._reopen()
        seconds = array.array("d")
        no_stamps = np.zeros(0, np.int64)
        end = 0.0
        for frame in self._timed_frames(self._packets()):
            seconds.append(frame.seconds)
            end = frame.seconds + frame.duration
            if frame.seconds > until:
                return Timeline(until, np.array(seconds), no_stamps, no_stamps, None)
        return Timeline(math.inf, np.array(seconds), no_stamps, no_stamps, end)

    def _frames_from(self, stamp, timeline):
        """Return the frames from a stamp on, decoded from the last key frame up to it.

        None if seeking fails; the position in the file is then its start.
        """
        keys = timeline.keys[timeline.keys <= stamp]
        with contextlib.suppress(av.FFmpegError):
            self._file.container.seek(int(keys[-1]), stream=self._file.stream)
            packets = self._packets()
            first_packet = next(packets, None)
            if first_packet is not None and first_packet.pts in keys:
                packets = itertools.chain([first_packet], packets)
                frames = self._timed_frames(packets, int(timeline.stamps[0]))
                for frame in frames:
                    if frame.stamp == stamp:
                        return itertools.chain([frame], frames)
                    if frame.stamp is None or frame.stamp > stamp:
                        break
        self._reopen()
        return None

    def _reopen(self):
        """Go back to the start of the file."""
        self._file.container.close()
        self._file = _open(self._path, self._remedy)

    def _timed_frames(self, packets, first_stamp=None):
        """Yield the frames of packets, with their times.

        `first_stamp` is that of the film's first frame; None if the packets begin with
        it.
        """
        clock = FilmClock(self._file.time_base, self.fps, first_stamp)
        converter = VideoReformatter()
        for frame, begins_film, is_damaged in self._ffmpeg_frames(packets):
            check_size(self._path, frame.height, frame.width, self._remedy)
            if begins_film:
                clock.begin_film()
            stamp = frame.pts
            if stamp is None or not self._file.has_times:
                stamp = frame.dts
            if first_stamp is None and self.film_start is None:
                self.film_start = _film_start(self._file, stamp)
            claimed_duration = None
            # Streams store no durations, and FFmpeg guesses them.
            if frame.duration and not self._file.is_stream:
                claimed_duration = float(frame.duration * self._file.time_base)
            seconds, duration = clock.show(stamp, claimed_duration)
            yield DecodedFrame(seconds, duration, stamp, is_damaged, frame, converter)

    def _ffmpeg_frames(self, packets):
        """Yield the _FfmpegFrames of packets.

        What cannot be decoded ends them, but not before the first frame.
        """
        context = self._file.stream.codec_context
        has_frames = False
        begins_film = False
        has_shown_packets = False
        since_hidden: int | None = None
        lacks_frame = False
        damaged_stamps: set[int | None] = set()
        for packet in self._decodable(packets):
            is_end = isinstance(packet, _FilmEnd)
            if not is_end and packet.is_discard:
                # It lies outside of the film. A trimmed film has such frames, but no
                # count, and others may end with some; else the index is damaged.
                if (
                    has_shown_packets
                    and self.count is not None
                    and since_hidden is None
                ):
                    since_hidden = 0
            elif not is_end and packet.size:
                has_shown_packets = True
                if since_hidden is not None:
                    since_hidden += 1
                    if since_hidden > _MAX_REORDERED:
                        lacks_frame = True
                        since_hidden = None
            if not is_end and packet.is_corrupt and not self._is_before_join(packet):
                damaged_stamps.add(packet.pts)
            try:
                for frame in context.decode(None if is_end else packet):
                    is_damaged = frame.is_corrupt or frame.pts in damaged_stamps
                    is_damaged |= lacks_frame
                    yield _FfmpegFrame(frame, begins_film, is_damaged)
                    has_frames = True
                    lacks_frame = False
                    begins_film = False
            except av.FFmpegError:
                self.is_broken = has_frames
                if has_frames:
                    return
            if is_end:
                context.flush_buffers()
                damaged_stamps.clear()
                begins_film = not packet.clock_goes_on

    def _decodable(self, packets):
        """Yield packets, in a stream from its first key frame on, and each _FilmEnd.

        FFmpeg invents the pictures to which the first frames of a cut stream refer.
        """
        if not self._file.is_stream:
            yield from packets
            return
        last_dts = -math.inf
        waits_for_key = True
        held_packets = []
        for packet in packets:
            held_packets.append(packet)
            if packet.size and packet.dts is None and last_dts > -math.inf:
                # In a transport stream each frame has a time. This may be the rest of a
                # cut one, if the next packet is another film's.
                if self._file.format_name == _TRANSPORT_STREAM:
                    continue
            goes_back = packet.dts is not None and packet.dts < last_dts
            if goes_back or self._is_after_pause(packet):
                yield _FilmEnd(clock_goes_on=not goes_back)
                waits_for_key = True
                held_packets = [packet]
            if packet.dts is not None:
                last_dts = packet.dts
            for held_packet in held_packets:
                if held_packet.is_keyframe or held_packet.size == 0:
                    waits_for_key = False
                if not waits_for_key:
                    yield held_packet
            held_packets.clear()

    def _is_before_join(self, packet):
        """Return whether a packet is taken for damaged as another film follows it."""
        if self._gaps is None or packet.pos is None:
            return False
        return self._gaps.is_before_join(packet.pos)

    def _is_after_pause(self, packet):
        """Return whether a packet begins a film that lacks frames before it."""
        if self._gaps is None or packet.pos is None:
            return False
        return self._gaps.pass_pause(packet.pos)

    def _packets(self):
        """Yield the packets from the position in the file, to where it breaks off."""
        with contextlib.suppress(av.FFmpegError):
            yield from self._file.container.demux(self._file.stream)


def stated_rate(*claimed_rates: float | Fraction | None) -> float:
    """Return the first plausible one of claimed rates, frames a second; else 25."""
    for rate in claimed_rates:
        if rate and 1e-6 < rate < 1e6:
            return float(rate)
    return DEFAULT_FPS


def _open(path, remedy):
    """Open a video file; InputError as of `Decoder`."""
    try:
        # FFmpeg would take the start of a relative path, such as http:, for a protocol.
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
    return _VideoFile(container, stream, time_base, container.format.name)


def _film_start(file, first_stamp):
    """Return how many seconds after the start of a file its first frame is shown."""
    start = file.container.start_time
    if start is None or first_stamp is None or not file.has_times:
        return 0.0
    # Below 0 is what a sound's decoder needs before its first sample.
    seconds = float(first_stamp * file.time_base) - max(0, start / av.time_base)
    return round(max(0.0, seconds), 6)


def _claimed_duration(file):
    """Return the seconds that a file claims to last; None where it claims none."""
    seconds = (file.container.duration or 0) / av.time_base
    if file.stream.duration:
        seconds = float(file.stream.duration * file.time_base)
    if 0 < seconds < 2**31:
        return seconds
    return None
