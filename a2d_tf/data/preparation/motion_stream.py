"""Motion maps of a video, computed frame by frame.

Conversion (`clips`) and prediction both compute them here, so that a network sees in a
video what it has learned from. `ops.motion_maps` describes the maps. Frames, blocks and
maps are counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from a2d_tf.data.preparation.flow import Flow
from a2d_tf.data.preparation.resizing import resize_frame
from a2d_tf.ops import motion_maps
from a2d_tf.ops.flow_histograms import flow_histograms
from a2d_tf.ops.motion_maps import BLOCK, FLOW_HISTOGRAMS, MAPS

BlockFunction = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""A function that computes the maps of a block.

It takes the motion frames, RGB uint8 [BLOCK, h, w, 3], and returns {name of a map in
`motion_maps.BACKBONE_MAPS`: float32 [BLOCK / frames, h / stride, w / stride, C]}. C may
differ from the map's channels, for example if the function returns logits.
"""


class MotionStream:
    """Computes the motion maps of key frames from the frames of a video.

    `add` every frame in order, then `end`; in between, read the `maps` of each key
    frame that is `ready`. The stream holds at most one block of motion frames (frames
    resized for an action backbone) in memory, and the maps that were not forgotten. If
    there are no maps to compute, it needs no frame and is always ready. Each video
    needs its own.

    Args:
      block_function: computes the maps of an action backbone for a block of BLOCK
        frames; None for none of these maps.
      flow_histograms: whether to compute flow histograms, the other kind of maps.
    """

    def __init__(
        self, block_function: BlockFunction | None, flow_histograms: bool
    ) -> None:
        self._block_function = block_function
        self._flow = Flow("dis") if flow_histograms else None
        self._motion_size = (0, 0)
        self._index = 0  # of the last frame that came
        self._block_frames: list[np.ndarray] = []  # of a block that is not whole yet
        self._blocks = 0  # number of the last block that is done, plus 1
        self._first_of_pair: np.ndarray | None = None
        self._pairs = 0  # number of the last pair that is done, plus 1
        self._maps: dict[str, dict[int, np.ndarray]] = {}  # {name: {number: map}}
        self._has_ended = False

    def frames_around(self, key: int) -> range:
        """Return the numbers of the frames that the maps of a key frame are made from.

        Args:
          key: number of the key frame, from 0.

        Returns:
          numbers from 0; the range may reach beyond the start and end of the video.
        """
        if self._block_function is not None:
            blocks = motion_maps.blocks_around(key)
            return range(blocks.start * BLOCK, blocks.stop * BLOCK)
        if self._flow is None:
            return range(0)
        return motion_maps.frames_around(FLOW_HISTOGRAMS, key)

    def add(self, index: int, native: np.ndarray, with_flow: bool = True) -> None:
        """Take the next frame of the video, and compute the maps that it completes.

        Args:
          index: number of the frame, from 0. Numbers ascend. All `frames_around` each
            key frame must come, and either all frames of a block or none.
          native: the frame as decoded, RGB uint8 [H, W, 3].
          with_flow: whether to compute flow histograms if the frame ends a pair. Only
            the pairs around key frames need them.
        """
        self._index = index
        self._motion_size = motion_maps.frame_size(*native.shape[:2])
        frame = resize_frame(native, *self._motion_size)
        if self._block_function is not None:
            self._block_frames.append(frame)
            if index % BLOCK == BLOCK - 1:
                self._end_block()
        if self._flow is not None and with_flow:
            self._add_to_pair(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))

    def _end_block(self) -> None:
        """Compute the maps of the block that the last frame ends."""
        assert self._block_function is not None
        number = self._index // BLOCK
        count = len(self._block_frames)
        padding = [self._block_frames[-1]] * (BLOCK - count)
        block = np.stack(self._block_frames + padding)
        self._block_frames.clear()
        self._blocks = number + 1
        for name, maps in self._block_function(block).items():
            frames = MAPS[name].frames
            first = number * BLOCK // frames
            kept_maps = self._maps.setdefault(name, {})
            # Maps of padding alone do not exist.
            for i, map_of_block in enumerate(maps[: -(-count // frames)]):
                kept_maps[first + i] = map_of_block

    def _add_to_pair(self, grey_frame: np.ndarray) -> None:
        """Take a frame of a pair; compute the flow histograms if it is the second."""
        number = self._index // FLOW_HISTOGRAMS.frames
        if self._index % FLOW_HISTOGRAMS.frames == 0:
            self._first_of_pair = grey_frame
            return
        assert self._flow is not None and self._first_of_pair is not None
        flow = self._flow(self._first_of_pair, grey_frame, self._motion_size)
        self._pairs = number + 1
        kept_maps = self._maps.setdefault(FLOW_HISTOGRAMS.name, {})
        kept_maps[number] = flow_histograms(flow)

    def end(self) -> None:
        """Finish the motion maps after the last frame of the video was added.

        A block with too few frames is filled up with copies of its last frame.
        """
        if self._block_frames:
            self._end_block()
        self._has_ended = True

    def ready(self, key: int) -> bool:
        """Return whether all frames that a key frame's maps need have come.

        Args:
          key: number of the key frame, from 0.
        """
        if self._has_ended:
            return True
        if self._block_function is not None:
            if self._blocks < motion_maps.blocks_around(key).stop:
                return False
        if self._flow is not None:
            return self._pairs >= motion_maps.maps_around(FLOW_HISTOGRAMS, key).stop
        return True

    def maps(self, key: int) -> dict[str, np.ndarray]:
        """Return the motion maps of a key frame that is `ready`.

        Args:
          key: number of the key frame, from 0.

        Returns:
          {name: float32 [h, w, C]}, for each kind the mean of the maps of the frames
          around the key frame that the video has (`motion_maps.maps_around`). Without a
          pair of frames, flow histograms are zero.
        """
        means = {}
        for name, kept_maps in self._maps.items():
            around = motion_maps.maps_around(MAPS[name], key)
            maps = [kept_maps[number] for number in around if number in kept_maps]
            if maps:
                means[name] = np.mean(maps, axis=0)
        if self._flow is not None and FLOW_HISTOGRAMS.name not in means:
            height, width = self._motion_size
            stride = FLOW_HISTOGRAMS.stride
            shape = height // stride, width // stride, FLOW_HISTOGRAMS.channels
            means[FLOW_HISTOGRAMS.name] = np.zeros(shape, np.float32)
        return means

    def forget(self, before_key: int) -> None:
        """Drop the maps that only earlier key frames need, to save memory.

        Args:
          before_key: number of the first key frame, from 0, whose maps are still
            needed.
        """
        for name, kept_maps in self._maps.items():
            first = motion_maps.maps_around(MAPS[name], before_key).start
            for number in list(kept_maps):
                if number < first:
                    del kept_maps[number]
