"""The frames that FFmpeg decodes from a file's packets, and which are damaged.

A stream may be cut anywhere, and several recordings may be joined in one file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import av

from a2d_tf.data.decoding.transport_stream import GapReader
from a2d_tf.data.decoding.video_file import VideoFile

# In H.264 and HEVC, at most so many frames are stored after one that is shown later.
_MAX_REORDERED = 16


class PacketFrame(NamedTuple):
    """A frame as FFmpeg decodes it.

    Attributes:
      frame: PyAV's frame.
      begins_recording: whether the frame is the first of another recording in the file.
      is_damaged: whether the file or the decoder reports damage.
    """

    frame: Any
    begins_recording: bool
    is_damaged: bool


class _RecordingEnd(NamedTuple):
    """A mark between the packets of two recordings.

    Attributes:
      clock_goes_on: whether the stamps of the second recording continue those of
        the first.
    """

    clock_goes_on: bool


def decode_packets(
    file: VideoFile, packets: Iterable[Any], gaps: GapReader | None, is_trimmed: bool
) -> Iterator[PacketFrame]:
    """Decode the packets of a video file and yield their frames as they are shown.

    Args:
      file: the video file.
      packets: the file's packets as PyAV returns them, in order.
      gaps: reader of the gaps in the file's packets, which tells joins of recordings
        from losses; None unless the file is a transport stream.
      is_trimmed: whether the file may have been cut from a longer one without encoding.

    Raises:
      av.FFmpegError: a packet after the first frame cannot be decoded. Packets before
        the first frame that cannot be decoded are left out.
    """
    context = file.stream.codec_context
    detector = _DamageDetector(gaps, is_trimmed)
    has_frames = False
    begins_recording = False
    for packet in _split_recordings(file, packets, gaps):
        is_end = isinstance(packet, _RecordingEnd)
        if not is_end:
            detector.add_packet(packet)
        try:
            frames = context.decode(None if is_end else packet)
        except av.FFmpegError:
            if has_frames:
                raise
            frames = []
        for frame in frames:
            yield PacketFrame(frame, begins_recording, detector.is_damaged(frame))
            has_frames = True
            begins_recording = False
        if is_end:
            context.flush_buffers()
            detector.end_recording()
            begins_recording = not packet.clock_goes_on


def _split_recordings(
    file: VideoFile, packets: Iterable[Any], gaps: GapReader | None
) -> Iterator[Any]:
    """Yield packets, and a _RecordingEnd between recordings.

    A stream's packets before its first key frame are left out, because FFmpeg would
    invent the pictures that they refer to.
    """
    if not file.is_stream:
        yield from packets
        return
    last_dts = -math.inf
    waits_for_key = True
    held_packets = []
    for packet in packets:
        held_packets.append(packet)
        if packet.size and packet.dts is None and last_dts > -math.inf:
            # In a transport stream each whole frame has a time. This may be the rest of
            # a cut frame, if the next packet belongs to another recording.
            if file.is_transport_stream:
                continue
        goes_back = packet.dts is not None and packet.dts < last_dts
        if goes_back or _is_after_pause(packet, gaps):
            yield _RecordingEnd(clock_goes_on=not goes_back)
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


def _is_after_pause(packet: Any, gaps: GapReader | None) -> bool:
    """Return whether a packet begins a recording and frames lack before it."""
    if gaps is None or packet.pos is None:
        return False
    return gaps.pass_pause(packet.pos)


class _DamageDetector:
    """Detects damaged frames from a file's packets and frames, in their order.

    A frame is damaged if its packet or the decoder reports damage, or if the frame
    before it is missing. A packet that no player shows (`is_discard`) is allowed in a
    trimmed file, and at the end of any recording; elsewhere it means that the file's
    index is damaged and a frame is missing.

    Args:
      gaps: reader of the file's gaps; None unless it is a transport stream.
      is_trimmed: whether the file may have been cut from a longer one without encoding.
    """

    def __init__(self, gaps: GapReader | None, is_trimmed: bool) -> None:
        self._gaps = gaps
        self._is_trimmed = is_trimmed
        self._corrupt_stamps: set[int | None] = set()
        self._has_shown_packets = False
        # Number of shown packets since the last packet that is not shown; None if all
        # packets of the recording are shown.
        self._shown_since_hidden: int | None = None
        self._lacks_frame = False

    def add_packet(self, packet: Any) -> None:
        """Take the packet that FFmpeg decodes next."""
        if packet.is_corrupt and not self._is_before_join(packet):
            self._corrupt_stamps.add(packet.pts)
        if packet.is_discard:
            is_in_recording = self._has_shown_packets and not self._is_trimmed
            if is_in_recording and self._shown_since_hidden is None:
                self._shown_since_hidden = 0
        elif packet.size:
            self._has_shown_packets = True
            if self._shown_since_hidden is not None:
                self._shown_since_hidden += 1
                if self._shown_since_hidden > _MAX_REORDERED:
                    self._lacks_frame = True
                    self._shown_since_hidden = None

    def is_damaged(self, frame: Any) -> bool:
        """Return whether the next decoded frame is damaged."""
        lacks_frame = self._lacks_frame
        self._lacks_frame = False
        return frame.is_corrupt or frame.pts in self._corrupt_stamps or lacks_frame

    def end_recording(self) -> None:
        """Forget the stamps of a recording; the next one may have the same."""
        self._corrupt_stamps.clear()

    def _is_before_join(self, packet: Any) -> bool:
        """Return whether the damage that FFmpeg reports is a join of recordings."""
        if self._gaps is None or packet.pos is None:
            return False
        return self._gaps.is_before_join(packet.pos)
