"""Motion maps: features of the motion in the frames around a key frame.

Two kinds of maps are computed once for the frames of a video, and then averaged over
the frames around a key frame:

- features of an action backbone, which sees blocks of frames (`model.backbones.i3d`),
- histograms of optical flow (`ops.flow_histograms`) between the frames of a pair.

Blocks and pairs are counted from the video's first frame, whatever the key frame is. So
records, prediction and streaming see the same maps.

Both are computed on *motion frames*: the video's frames, resized as `frame_size` says.
Their size does not depend on the network's canvas.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from a2d_tf.ops.flow_histograms import CELL, CHANNELS

BLOCK = 32
"""Frames that an action backbone sees at once."""
SPAN = 16
"""Frames before and after a key frame over which features are averaged."""
FLOW_SPAN = 6
"""Frames before and after a key frame over which flow histograms are averaged."""
SHORT_SIDE = 160
"""Length of a motion frame's shorter side in pixels."""
LONGEST_SIDE = 416
"""Largest length of a motion frame's longer side in pixels."""
MULTIPLE = 32
"""Sides of motion frames are multiples of this number, the coarsest map's stride."""


class MotionMap(NamedTuple):
    """A kind of motion maps: its name, and which frames and pixels a map covers.

    The maps of a video are numbered from 0.

    Attributes:
      name: the kind's name in records and signatures.
      stride: distance of neighbouring cells in pixels of the motion frame.
      frames: number of frames that a map covers; map j covers the frames j * frames to
        (j + 1) * frames - 1 of the video, counted from 0.
      channels: number of values of a cell.
      span: number of frames before and after a key frame over which maps are averaged.
    """

    name: str
    stride: int
    frames: int
    channels: int
    span: int


MIXED_4F = MotionMap("mixed_4f", stride=16, frames=4, channels=832, span=SPAN)
MIXED_5C = MotionMap("mixed_5c", stride=32, frames=8, channels=1024, span=SPAN)
BACKBONE_MAPS = {"i3d": (MIXED_4F, MIXED_5C)}
"""{action backbone: the kinds of maps that it computes}."""
REACH = SPAN - MIXED_4F.frames // 2
"""A key frame needs all blocks that have a frame at most so far from it.

A map is averaged if its middle is at most SPAN = 16 frames away. The finest maps cover
4 frames and begin 1.5 frames before their middle. So a block that is needed begins at
most 14 frames after the key frame.
"""
FLOW_HISTOGRAMS = MotionMap(
    "flow_histograms", stride=CELL, frames=2, channels=CHANNELS, span=FLOW_SPAN
)
MAPS: dict[str, MotionMap] = {FLOW_HISTOGRAMS.name: FLOW_HISTOGRAMS}
"""{name: kind of maps}, all kinds."""
for _maps in BACKBONE_MAPS.values():
    for _map in _maps:
        MAPS[_map.name] = _map


def groups(action_backbone: str, flow_histograms: bool) -> dict[str, list[MotionMap]]:
    """Return the kinds of motion maps that a network reads, grouped by their source.

    Args:
      action_backbone: name of the network's action backbone, such as 'i3d'; empty if it
        has none.
      flow_histograms: whether the network reads flow histograms.

    Returns:
      {source: its kinds of maps}. A source is the name of the action backbone, or
      'flow_histograms'. The readout weighs each of these groups.
    """
    maps_by_origin = {}
    if action_backbone:
        maps_by_origin[action_backbone] = [*BACKBONE_MAPS[action_backbone]]
    if flow_histograms:
        maps_by_origin[FLOW_HISTOGRAMS.name] = [FLOW_HISTOGRAMS]
    return maps_by_origin


def frame_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of a video's motion frames, in pixels.

    The shorter side has 160 pixels. The longer side has at most 416 pixels and keeps
    the aspect ratio, rounded to a multiple of 32 so that maps cover frames exactly.

    Args:
      height: height of the video in pixels.
      width: width of the video in pixels.
    """
    ratio = max(height, width) / min(height, width)
    longer = MULTIPLE * round(SHORT_SIDE * ratio / MULTIPLE)
    longer = min(longer, LONGEST_SIDE)
    if height > width:
        return longer, SHORT_SIDE
    return SHORT_SIDE, longer


def maps_around(kind: MotionMap, key: int) -> range:
    """Return the numbers of the maps that are averaged for a key frame.

    These are the maps whose middle is at most `kind.span` frames from the key frame.
    At the end of a video some of them do not exist.

    Args:
      kind: the kind of maps.
      key: number of the key frame in the video, from 0.
    """
    middle = (kind.frames - 1) / 2
    first = int(np.ceil((key - kind.span - middle) / kind.frames))
    last = int(np.floor((key + kind.span - middle) / kind.frames))
    return range(max(first, 0), last + 1)


def frames_around(kind: MotionMap, key: int) -> range:
    """Return the numbers of the frames that the maps of `maps_around` cover.

    These are the frames whose motion a key frame's average takes in. At the end of a
    video some of them do not exist.

    Args:
      kind: the kind of maps.
      key: number of the key frame in the video, from 0.
    """
    maps = maps_around(kind, key)
    return range(maps.start * kind.frames, maps.stop * kind.frames)


def blocks_around(key: int) -> range:
    """Return the numbers of the blocks whose features are averaged for a key frame.

    A block is a run of BLOCK frames that the action backbone sees at once: block b has
    the frames b * BLOCK to (b + 1) * BLOCK - 1 of the video. At the end of a video some
    blocks do not exist.

    Args:
      key: number of the key frame in the video, from 0.
    """
    return range(max(key - REACH, 0) // BLOCK, (key + REACH) // BLOCK + 1)


def keys_of_map(kind: MotionMap, number: int) -> range:
    """Return the numbers of the key frames for which a map is averaged.

    This is the inverse of `maps_around`. After the last of these frames the map is no
    longer needed.

    Args:
      kind: the kind of maps.
      number: number of the map in the video, from 0.

    Returns:
      numbers of frames in the video, from 0; some may be beyond its end.
    """
    middle = number * kind.frames + (kind.frames - 1) / 2
    first = int(np.ceil(middle - kind.span))
    return range(max(first, 0), int(np.floor(middle + kind.span)) + 1)


def keys_of_block(number: int) -> range:
    """Return the numbers of the key frames that need a block's features.

    This is the inverse of `blocks_around`.

    Args:
      number: number of the block in the video, from 0.

    Returns:
      numbers of frames in the video, from 0; some may be beyond its end.
    """
    first = number * BLOCK - REACH
    return range(max(first, 0), (number + 1) * BLOCK + REACH)
