"""Gaps in the count of an MPEG transport stream's packets: losses, and joins of films.

A demuxer takes every gap for a loss. Where a whole film was appended to another, no
frame is damaged.
"""

from __future__ import annotations

import collections
import os
from typing import NamedTuple

import numpy as np

_SIZE = 188  # bytes of a packet
_SYNC = 0x47  # its first byte
# Bytes from one packet to the next: alone, after a camera's time, before a check sum.
_STRIDES = (188, 192, 204)
# Bits of a packet's second and fourth byte.
_BEGINS_FRAME = 0x40
_HAS_FIELD = 0x20
_HAS_PAYLOAD = 0x10
# Bits of the flags of its adaptation field, which is also what fills a packet up.
_IS_KEY_FRAME = 0x40
_HAS_CLOCK = 0x10
_HAS_MORE = 0x0F  # of any length
_CLOCK_SIZE = 6  # bytes
_HEADER_SIZE = 19  # bytes of a frame's header up to its decoding time
_HAS_DECODING_TIME = 0x40  # a bit of the flags of a frame's header


class Gap(NamedTuple):
    """A gap in the count of a film's packets.

    Attributes:
      position: of the packet behind it, bytes from the start of the file.
      is_join: whether another film begins there, and no frame is damaged.
      is_pause: whether frames are missing there by the times of these films, so that
        those behind it must not refer to those before it.
    """

    position: int
    is_join: bool
    is_pause: bool


class GapReader:
    """The gaps in a film, told while its packets pass by in their order.

    They are found when they are first asked for.

    Args:
      film: the number of its packets (PID).
    """

    def __init__(self, path: str | os.PathLike[str], film: int) -> None:
        self._path = path
        self._film = film
        self._ahead: collections.deque[Gap] | None = None

    def is_before_join(self, position: int) -> bool:
        """Return whether the next gap behind a damaged packet is a join of films.

        The packet is whole then: the demuxer took the gap behind it for a loss.
        """
        if self._ahead is None:
            self._ahead = collections.deque(find_gaps(self._path, self._film))
        while self._ahead and self._ahead[0].position <= position:
            self._ahead.popleft()
        return bool(self._ahead) and self._ahead[0].is_join

    def pass_pause(self, position: int) -> bool:
        """Pass a gap if a packet lies behind it; return whether films pause there.

        Nothing is passed before a damaged packet has come.
        """
        if not self._ahead or position < self._ahead[0].position:
            return False
        gap = self._ahead.popleft()
        return gap.is_join and gap.is_pause


def find_gaps(path: str | os.PathLike[str], film: int) -> list[Gap]:
    """Find the gaps in a film, in their order; none if the packets are not in a row.

    Args:
      film: the number of its packets (PID).
    """
    content = np.memmap(path, np.uint8, "r")
    for stride in _STRIDES:
        count = len(content) // stride
        packets = content[: count * stride].reshape(count, stride)
        if stride == 192:
            packets = packets[:, stride - _SIZE :]
        if count > 0 and np.all(packets[:, 0] == _SYNC):
            return _gaps_in(packets, film, stride)
    return []


def _gaps_in(packets: np.ndarray, film: int, stride: int) -> list[Gap]:
    film_numbers = (packets[:, 1] & 0x1F).astype(int) << 8 | packets[:, 2]
    has_payload = packets[:, 3] & _HAS_PAYLOAD > 0
    rows = np.flatnonzero((film_numbers == film) & has_payload)
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
    """Return whether a packet is longer than its content, as only a frame's last is."""
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
    has_flags = packet[3] & _HAS_FIELD and packet[4] > 0
    return bool(has_flags and packet[5] & _IS_KEY_FRAME)


def _decoding_time(packet: np.ndarray) -> int | None:
    """Return when the frame that a packet begins is decoded, in 90,000ths of a second.

    By the header of the frame (PES), of which its time to be shown comes first. None if
    the packet ends within the header, as a damaged one may.
    """
    start = 4
    if packet[3] & _HAS_FIELD:
        start += 1 + int(packet[4])
    header = packet[start:].tolist()
    if len(header) < _HEADER_SIZE:
        return None
    place = 14 if header[7] & _HAS_DECODING_TIME else 9
    high, *middle = header[place : place + 5]
    first, second, third, fourth = middle
    return (
        (high >> 1 & 0x7) << 30
        | first << 22
        | second >> 1 << 15
        | third << 7
        | fourth >> 1
    )
