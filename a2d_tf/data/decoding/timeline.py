"""Times at which the frames of a video begin, read from the packets of its file.

Reading packets is many times as fast as decoding them.
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
# Codecs of which each undamaged packet is a frame, so that packets tell the numbers of
# frames. The value is the types of NAL units with which decoding can begin; None if it
# can begin with every key frame. Files also list other frames as key frames: those from
# which on the picture is restored little by little (H.264's recovery points).
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
    """Times at which the frames of a video begin.

    Attributes:
      until: seconds up to which all frames are listed; later ones may be missing.
      seconds: times of the frames from the first one on, float64 [N], ascending.
      stamps: the frames' times as the file stores them, in the stream's time base,
        int64 [N]; empty if one cannot seek in the file.
      keys: stamps of the frames with which decoding can begin, int64 [K].
      end: time at which the last frame ends, seconds; None if there may be more frames.
    """

    until: float
    seconds: np.ndarray
    stamps: np.ndarray
    keys: np.ndarray
    end: float | None


def is_in_packets(container_name: str, codec_name: str) -> bool:
    """Return whether the packets of a file tell the times of its frames, undecoded.

    Args:
      container_name: FFmpeg's name of the container's format, such as 'matroska,webm'.
      codec_name: FFmpeg's name of the codec, such as 'h264'.
    """
    return container_name in _INDEXED_CONTAINERS and codec_name in _START_UNITS


def of_packets(packets: Iterable[Any], stream: Any, fps: float) -> Timeline | None:
    """Find the times of all frames of a video from its packets, without decoding them.

    Args:
      packets: all packets of the stream, PyAV's, in the order of the file.
      stream: PyAV's video stream, for which `is_in_packets` is true.
      fps: frames a second, for packets without a duration.

    Returns:
      the timeline of the whole video; None if the packets do not tell it: one has no
      time, two have the same, or the file begins within a group of pictures.

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
        # Frames before the start of a trimmed video are decoded, but not shown.
        if not packet.is_discard:
            stamps.append(stamp)
            end = max(end, stamp + (packet.duration or 1 / (fps * time_base)))
        if packet.is_keyframe:
            if start_filter is None or start_filter.filter(packet):
                keys.append(stamp)
        # The file was cut within a group of pictures; decoders differ in what they
        # show of it.
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
