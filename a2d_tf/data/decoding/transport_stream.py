"""Find gaps in the numbers of an MPEG transport stream's packets.

Each packet of a stream has the number after that of the packet before. At a gap packets
were lost, or one recording was appended to another, a *join*. A demuxer takes every gap
for a loss; but if recordings were joined, no frame is damaged.
"""

from __future__ import annotations

import collections
import os
from typing import NamedTuple

import numpy as np

_SIZE = 188  # bytes of a packet
_SYNC = 0x47  # its first byte
# Bytes from one packet to the next: packets alone, each after a camera's time (4
# bytes), or each before a check sum (16 bytes).
_STRIDES = (188, 192, 204)
# Bits of the second and the fourth byte of a packet.
_BEGINS_FRAME = 0x40
_HAS_FIELD = 0x20
_HAS_PAYLOAD = 0x10
# Bits of the flags of a packet's adaptation field, which also fills a packet up.
_IS_KEY_FRAME = 0x40
_HAS_CLOCK = 0x10
_HAS_MORE = 0x0F  # any of these bits announces content of unknown length
_CLOCK_SIZE = 6  # bytes
_HEADER_SIZE = 19  # bytes of a frame's header up to its decoding time
_HAS_DECODING_TIME = 0x40  # a bit of the flags of a frame's header


class Gap(NamedTuple):
    """A gap in the numbers of a stream's packets.

    Attributes:
      position: position of the packet after the gap, bytes from the start of the file.
      is_join: whether another recording begins at the gap, and no frame is damaged.
      is_pause: whether time has passed between the frames before and after the gap, so
        that the later frames must not refer to the earlier ones.
    """

    position: int
    is_join: bool
    is_pause: bool


class GapReader:
    """Tells what the gaps in a video stream mean, while its packets are read in order.

    The file is searched for gaps when a damaged packet comes for the first time.

    Args:
      path: the file, an MPEG transport stream.
      pid: the number (PID) that the packets of the video stream have.
    """

    def __init__(self, path: str | os.PathLike[str], pid: int) -> None:
        self._path = path
        self._pid = pid
        self._ahead: collections.deque[Gap] | None = None

    def is_before_join(self, position: int) -> bool:
        """Return whether the next gap after a packet is a join of two recordings.

        A packet that the demuxer reports as damaged is then whole: the demuxer took the
        join for a loss.

        Args:
          position: position of the packet, bytes from the start of the file.
        """
        if self._ahead is None:
            self._ahead = collections.deque(find_gaps(self._path, self._pid))
        while self._ahead and self._ahead[0].position <= position:
            self._ahead.popleft()
        return bool(self._ahead) and self._ahead[0].is_join

    def pass_pause(self, position: int) -> bool:
        """Return whether a packet is the first one after a join with a pause.

        If a packet is asked about that lies behind the next gap, the gap is passed:
        later calls look at the gap after it. The result is False until `is_before_join`
        was first called, which finds the gaps.

        Args:
          position: position of the packet, bytes from the start of the file.
        """
        if not self._ahead or position < self._ahead[0].position:
            return False
        gap = self._ahead.popleft()
        return gap.is_join and gap.is_pause


def find_gaps(path: str | os.PathLike[str], pid: int) -> list[Gap]:
    """Find the gaps of a video stream, in the order of the file.

    Args:
      path: the file.
      pid: the number (PID) that the packets of the video stream have.

    Returns:
      the gaps; none if the file does not consist of packets at equal distances.
    """
    content = np.memmap(path, np.uint8, "r")
    for stride in _STRIDES:
        count = len(content) // stride
        packets = content[: count * stride].reshape(count, stride)
        if stride == 192:
            packets = packets[:, stride - _SIZE :]
        if count > 0 and np.all(packets[:, 0] == _SYNC):
            return _gaps_in(packets, pid, stride)
    return []


def _gaps_in(packets: np.ndarray, pid: int, stride: int) -> list[Gap]:
    """Find the gaps of a video stream in packets.

    Args:
      packets: packets of the file, uint8 [N, bytes].
      pid: the number (PID) that the packets of the video stream have.
      stride: bytes from one packet to the next in the file.
    """
    pids = (packets[:, 1] & 0x1F).astype(int) << 8 | packets[:, 2]
    has_payload = packets[:, 3] & _HAS_PAYLOAD > 0
    rows = np.flatnonzero((pids == pid) & has_payload)
    counters = packets[rows, 3] & 0x0F
    frame_rows = rows[packets[rows, 1] & _BEGINS_FRAME > 0]
    gaps = []
    for i in np.flatnonzero((counters[:-1] + 1) % 16 != counters[1:]):
        row = rows[i + 1]
        is_join = False
        is_pause = False
        before = frame_rows[frame_rows < row]
        after = frame_rows[frame_rows >= row]
        if len(before) > 1 and len(after) > 0 and _is_filled_up(packets[rows[i]]):
            times = []
            for frame_row in (before[-2], before[-1], after[0]):
                time = _decoding_time(packets[frame_row])
                if time is not None:
                    times.append(time)
            if len(times) == 3:
                usual_step = times[1] - times[0]
                step = times[2] - times[1]
                begins_with_key = after[0] == row and _begins_key_frame(packets[row])
                is_join = step < 0 or begins_with_key
                is_pause = step > 1.5 * usual_step
        gaps.append(Gap(int(row) * stride, is_join, is_pause))
    return gaps


def _is_filled_up(packet: np.ndarray) -> bool:
    """Return whether a packet has filling, which only the last one of a frame has."""
    if not packet[3] & _HAS_FIELD:
        return False
    size = packet[4]
    if size == 0:
        return True
    flags = packet[5]
    if flags & _HAS_MORE:
        return False
    clock_size = _CLOCK_SIZE if flags & _HAS_CLOCK else 0
    return flags == 0 or size > 1 + clock_size


def _begins_key_frame(packet: np.ndarray) -> bool:
    """Return whether a packet says that it begins a key frame."""
    has_flags = packet[3] & _HAS_FIELD and packet[4] > 0
    return bool(has_flags and packet[5] & _IS_KEY_FRAME)


def _decoding_time(packet: np.ndarray) -> int | None:
    """Return the decoding time of the frame that a packet begins, in 1/90,000 s.

    The header of the frame (PES) has the time at which it is shown, then the time at
    which it is decoded if that differs. None if the packet ends within the header, as a
    damaged packet may.
    """
    start = 4
    if packet[3] & _HAS_FIELD:
        start += 1 + int(packet[4])
    header = packet[start:].tolist()
    if len(header) < _HEADER_SIZE:
        return None
    start_of_time = 14 if header[7] & _HAS_DECODING_TIME else 9
    high, *middle = header[start_of_time : start_of_time + 5]
    first, second, third, fourth = middle
    return (
        (high >> 1 & 0x7) << 30
        | first << 22
        | second >> 1 << 15
        | third << 7
        | fourth >> 1
    )
