"""Motion maps: what the frames around a key frame tell of motion in it.

Two kinds of maps are computed once for the frames of a video, and averaged over the
frames around a key frame:

- features of an action backbone, which sees blocks of frames (`model.backbones.i3d`),
- histograms of optical flow (`ops.flow_histograms`) from one frame to the next.

Time is fixed by the video: blocks are counted from its first frame, and so are pairs of
frames, each of which has a histogram. So records, prediction and streaming see the same
maps.

Both are computed on *motion frames*: the video's frames at the size of `frame_size`,
whatever the canvas of the network.
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
"""Pixels of the shorter side of motion frames."""
LONGEST_SIDE = 416
"""The most pixels of their longer side."""
MULTIPLE = 32
"""Sides are multiples of the coarsest stride of a map."""


class MotionMap(NamedTuple):
    """A kind of maps.

    Attributes:
      name: of the map in records and signatures.
      stride: pixels of the motion frame from one cell to the next.
      frames: from one map in time to the next; map number j is of the frames [j *
        frames, (j + 1) * frames).
      channels: of a cell.
      span: frames before and after a key frame over which it is averaged.
    """

    name: str
    stride: int
    frames: int
    channels: int
    span: int


MIXED_4F = MotionMap("mixed_4f", stride=16, frames=4, channels=832, span=SPAN)
MIXED_5C = MotionMap("mixed_5c", stride=32, frames=8, channels=1024, span=SPAN)
BACKBONE_MAPS = {"i3d": (MIXED_4F, MIXED_5C)}
"""The maps of each action backbone."""
REACH = SPAN - MIXED_4F.frames // 2
"""Frames before and after a key frame within which it needs each block's features.

A map is averaged if its middle is at most SPAN = 16 frames away. The finest maps have 4
frames and begin 1.5 frames before their middle. So a block that is needed begins at
most 14 frames behind the key frame.
"""
FLOW_HISTOGRAMS = MotionMap(
    "flow_histograms", stride=CELL, frames=2, channels=CHANNELS, span=FLOW_SPAN
)
MAPS: dict[str, MotionMap] = {FLOW_HISTOGRAMS.name: FLOW_HISTOGRAMS}
"""All kinds, by name."""
for _maps in BACKBONE_MAPS.values():
    for _map in _maps:
        MAPS[_map.name] = _map


def groups(action_backbone: str, flow_histograms: bool) -> dict[str, list[MotionMap]]:
    """Return the maps that a model reads, in groups of one origin.

    Args:
      action_backbone, flow_histograms: settings of the model.

    Returns:
      {name of the action backbone, or of the flow histograms: their maps}.
    """
    maps_by_origin = {}
    if action_backbone:
        maps_by_origin[action_backbone] = [*BACKBONE_MAPS[action_backbone]]
    if flow_histograms:
        maps_by_origin[FLOW_HISTOGRAMS.name] = [FLOW_HISTOGRAMS]
    return maps_by_origin


def frame_size(height: int, width: int) -> tuple[int, int]:
    """Return the (height, width) of the motion frames of a video of this size.

    The shorter side has 160 pixels; the longer one keeps the aspect but for rounding to
    a multiple of 32, so that maps cover frames exactly, and is at most 416.
    """
    ratio = max(height, width) / min(height, width)
    longer = MULTIPLE * round(SHORT_SIDE * ratio / MULTIPLE)
    longer = min(longer, LONGEST_SIDE)
    if height > width:
        return longer, SHORT_SIDE
    return SHORT_SIDE, longer


def maps_around(kind: MotionMap, key: int) -> range:
    """Return the numbers of the maps that are averaged for a key frame.

    These are the maps whose middle is at most `span` frames away; at the end of a video
    some of them do not exist.

    Args:
      key: 0-based number of the key frame.
    """
    middle = (kind.frames - 1) / 2
    first = int(np.ceil((key - kind.span - middle) / kind.frames))
    last = int(np.floor((key + kind.span - middle) / kind.frames))
    return range(max(first, 0), last + 1)


def frames_around(kind: MotionMap, key: int) -> range:
    """Return the numbers of the frames of the maps of `maps_around`."""
    maps = maps_around(kind, key)
    return range(maps.start * kind.frames, maps.stop * kind.frames)


def blocks_around(key: int) -> range:
    """Return the numbers of the blocks whose features a key frame needs.

    Block b has the frames [b * BLOCK, (b + 1) * BLOCK). Those at the end of a video may
    not exist.
    """
    return range(max(key - REACH, 0) // BLOCK, (key + REACH) // BLOCK + 1)


def keys_of_map(kind: MotionMap, number: int) -> range:
    """Return the key frames for which a map is averaged: those of `maps_around`."""
    middle = number * kind.frames + (kind.frames - 1) / 2
    first = int(np.ceil(middle - kind.span))
    return range(max(first, 0), int(np.floor(middle + kind.span)) + 1)


def keys_of_block(number: int) -> range:
    """Return the key frames that need a block: those of `blocks_around`."""
    first = number * BLOCK - REACH
    return range(max(first, 0), (number + 1) * BLOCK + REACH)
