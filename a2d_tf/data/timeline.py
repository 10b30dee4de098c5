"""When the frames of a video begin, read from the packets of its file.

Packets are read without decoding them, which is many times as fast.
"""

from __future__ import annotations

import array
import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from av.bitstream import BitStreamFilterContext

# Containers that list their key frames, so that one can seek in them.
_INDEXED_CONTAINERS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2")
# Codecs whose packets are a frame each, except for damaged ones: packets tell the
# frames' numbers. Value: the NAL units at which decoding may begin; None if it may at
# every key frame. Files also list frames from which on the picture becomes whole little
# by little (H.264's recovery points).
_START_UNITS = {
    "av1": None,
    "ffv1": None,
    "mjpeg": None,
    "prores": None,
    "vp9": None,
    "h264": "5",
    "hevc": "16-21",
}


@dataclasses.dataclass(frozen=True)
class Timeline:
    """When frames begin: all frames before `until`, perhaps some after it.

    Attributes:
      until: seconds.
      seconds: float64 [N], ascending.
      stamps: int64 [N], the same in the file's units; empty if one cannot seek in it.
      keys: int64 [K], the stamps of the frames with which decoding may begin.
      end: when the last frame ends, seconds; None if there may be more frames.
    """

    until: float
    seconds: np.ndarray
    stamps: np.ndarray
    keys: np.ndarray
    end: float | None


def is_in_packets(container_name: str, codec_name: str) -> bool:
    """Return whether packets tell the times of frames, by FFmpeg's names."""
    return container_name in _INDEXED_CONTAINERS and codec_name in _START_UNITS


def of_packets(packets: Iterable[Any], stream: Any, fps: float) -> Timeline | None:
    """Return the timeline of a whole video; None if the packets do not tell it.

    Args:
      packets: all packets of the stream.
      stream: PyAV's stream, of a codec for which `is_in_packets` holds.
      fps: frames a second, for packets without a duration.

    Raises:
      av.FFmpegError: a packet is damaged.
    """
    units = _START_UNITS[stream.codec_context.codec.canonical_name]
    start_filter = None
    if units is not None:
        start_filter = BitStreamFilterContext(
            f"filter_units=pass_types={units}", stream
        )
    time_base = stream.time_base
    stamps = array.array("q")
    keys = array.array("q")
    end: float = -math.inf
    for packet in packets:
        if packet.size == 0:
            continue
        stamp = packet.pts
        if stamp is None:
            return None
        # Frames before the start of a trimmed film are decoded, but not shown.
        if not packet.is_discard:
            stamps.append(stamp)
            end = max(end, stamp + (packet.duration or 1 / (fps * time_base)))
        if packet.is_keyframe:
            if start_filter is None or start_filter.filter(packet):
                keys.append(stamp)
        # Cut within a group of pictures: what is shown depends on the decoder.
        if not keys:
            return None
    ascending = np.unique(np.array(stamps, np.int64))
    has_repeated_stamps = len(ascending) < len(stamps)
    if len(stamps) == 0 or has_repeated_stamps or ascending[0] < keys[0]:
        return None
    first = int(ascending[0])
    return Timeline(
        until=math.inf,
        seconds=(ascending - first)
        * float(time_base.numerator)
        / time_base.denominator,
        stamps=ascending,
        keys=np.array(keys, np.int64),
        end=float((end - first) * time_base),
    )
