"""Decoding of video files by FFmpeg: frames and the times at which they are shown."""

from __future__ import annotations

import array
import contextlib
import itertools
import math
import pathlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from a2d_tf.core.files import Path
from a2d_tf.core.limits import check_size
from a2d_tf.data.decoding import timeline as timelines
from a2d_tf.data.decoding import transport_stream
from a2d_tf.data.decoding.decoded_frame import DecodedFrame
from a2d_tf.data.decoding.frame_clock import FrameClock
from a2d_tf.data.decoding.packet_frames import decode_packets
from a2d_tf.data.decoding.timeline import Timeline
from a2d_tf.data.decoding.video_file import VideoFile

DEFAULT_FPS = 25.0


class Decoder:
    """An open video file, read from its start to its end; a context manager.

    Args:
      path: the video file.
      remedy: what the user can do about a broken file, such as 'encode it again'; each
        error message ends with it.

    Attributes:
      fps: average number of frames a second according to the file; 25 if it states
        none.
      count: number of frames according to the file; None if it states none, or if it
        may state the frames of a longer video from which it was cut.
      duration: length in seconds according to the file; None if it states none.
      first_frame_time: time of the first frame in a player, in seconds; sound, or
        frames that cannot be decoded, may come before it. None until a frame was
        decoded. Times of frames here count from the first frame.
      is_broken: whether decoding ended at a frame that cannot be decoded.

    Raises:
      InputError: the file does not exist, cannot be decoded, or has too many pixels.
    """

    def __init__(self, path: Path, remedy: str) -> None:
        self._path = pathlib.Path(path)
        self._remedy = remedy
        self.is_broken = False
        self._file = VideoFile.open(self._path, remedy)
        stream = self._file.stream
        self._gaps: transport_stream.GapReader | None = None
        if self._file.is_transport_stream:
            self._gaps = transport_stream.GapReader(self._path, stream.id)
        self.fps = stated_rate(stream.average_rate, stream.guessed_rate)
        self.count: int | None = stream.frames or None
        self.duration = self._file.claimed_duration()
        self.first_frame_time: float | None = None
        if self.count and self.duration and self.count > self.duration * self.fps + 0.5:
            self.count = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.container.close()

    def frames(
        self, first: int = 0, timeline: Timeline | None = None
    ) -> Iterator[DecodedFrame]:
        """Yield frames to the end, or to the first broken frame; call this once.

        No frame after a broken one is yielded, because its number would be unknown;
        `is_broken` is then true.

        Args:
          first: index of the first frame to yield, from 0.
          timeline: times of this video's frames, as another decoder's `timeline`
            returned them; with it, decoding can begin close to the first frame.

        Raises:
          InputError: a frame has too many pixels.
        """
        if timeline is not None and 0 < first < len(timeline.stamps):
            frames = self._frames_from(int(timeline.stamps[first]), timeline)
            if frames is not None:
                yield from frames
                return
        yield from itertools.islice(
            self._timed_frames(self._file.packets()), first, None
        )

    def timeline(self, until: float) -> Timeline:
        """Find the times of the video's frames; call no other method afterwards.

        The times are read from the file's packets if these have them; otherwise the
        frames are decoded, which takes many times as long.

        Args:
          until: seconds from the first frame up to which times are needed; infinity for
            all.

        Returns:
          the times, at least up to `until`.
        """
        if timelines.is_in_packets(self._file.format_name, self._file.codec_name):
            with contextlib.suppress(av.FFmpegError):
                timeline = timelines.of_packets(
                    self._file.packets(), self._file.stream, self.fps
                )
                if timeline is not None:
                    return timeline
            self._reopen()
        seconds = array.array("d")
        no_stamps = np.zeros(0, np.int64)
        end = 0.0
        for frame in self._timed_frames(self._file.packets()):
            seconds.append(frame.seconds)
            end = frame.seconds + frame.duration
            if frame.seconds > until:
                return Timeline(until, np.array(seconds), no_stamps, no_stamps, None)
        return Timeline(math.inf, np.array(seconds), no_stamps, no_stamps, end)

    def _frames_from(
        self, stamp: int, timeline: Timeline
    ) -> Iterator[DecodedFrame] | None:
        """Return the frames from a stamp on; decoding begins at a key frame before it.

        If seeking fails, return None, and go back to the start of the file.
        """
        keys = timeline.keys[timeline.keys <= stamp]
        with contextlib.suppress(av.FFmpegError):
            self._file.container.seek(int(keys[-1]), stream=self._file.stream)
            packets = self._file.packets()
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

    def _reopen(self) -> None:
        """Go back to the start of the file."""
        self._file.container.close()
        self._file = VideoFile.open(self._path, self._remedy)

    def _timed_frames(
        self, packets: Iterable[Any], first_stamp: int | None = None
    ) -> Iterator[DecodedFrame]:
        """Yield the frames of packets, with their times, to the first broken frame.

        Args:
          packets: packets of the file, in order.
          first_stamp: stamp of the video's first frame; None if it is the first of
            these packets.
        """
        file = self._file
        clock = FrameClock(file.time_base, self.fps, first_stamp)
        converter = VideoReformatter()
        frames = decode_packets(
            file, packets, self._gaps, is_trimmed=self.count is None
        )
        try:
            for frame, begins_recording, is_damaged in frames:
                check_size(self._path, frame.height, frame.width, self._remedy)
                if begins_recording:
                    clock.begin_recording()
                stamp = frame.pts
                if stamp is None or not file.has_times:
                    stamp = frame.dts
                if first_stamp is None and self.first_frame_time is None:
                    self.first_frame_time = file.first_frame_time(stamp)
                claimed_duration = None
                # Streams store no durations, and FFmpeg guesses them.
                if frame.duration and not file.is_stream:
                    claimed_duration = float(frame.duration * file.time_base)
                shown = clock.show(stamp, claimed_duration)
                yield DecodedFrame(
                    seconds=shown.seconds,
                    duration=shown.duration,
                    stamp=stamp,
                    is_damaged=is_damaged,
                    _ffmpeg_frame=frame,
                    _converter=converter,
                )
        except av.FFmpegError:
            self.is_broken = True


def stated_rate(*claimed_rates: float | Fraction | None) -> float:
    """Return the first plausible one of several rates that a file states.

    Args:
      *claimed_rates: frames a second; None if unknown.

    Returns:
      frames a second; 25 if no rate is plausible.
    """
    for rate in claimed_rates:
        if rate and 1e-6 < rate < 1e6:
            return float(rate)
    return DEFAULT_FPS
