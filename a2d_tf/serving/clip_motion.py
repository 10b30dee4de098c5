"""Motion maps of a clip that the served network answers as if it were a whole video.

The clip's key frame is the frame in its middle. `MotionStream` makes the maps of longer
videos, and `ops.motion_maps` says what motion maps are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from a2d_tf.model.network import Network
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops import motion_maps
from a2d_tf.ops.motion_maps import BLOCK, FLOW_HISTOGRAMS, MotionMap
from a2d_tf.serving import motion_graphs


class _Clip(NamedTuple):
    """B clips of T frames, each taken as a whole video.

    Attributes:
      rgb: the frames, uint8 [B, T, H, W, 3].
      flow: their optical flow, float32 [B, T, H, W, 2], (u, v) in pixels of the frames.
      length: T, int32 scalar.
      motion_size: int32 [2], height and width of the motion frames.
    """

    rgb: tf.Tensor
    flow: tf.Tensor
    length: tf.Tensor
    motion_size: tf.Tensor

    @property
    def key(self) -> tf.Tensor:
        """Number of the key frame."""
        return self.length // 2


def maps_of_clips(
    network: Network, rgb: tf.Tensor, flow: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Compute the motion maps that the middle frames of clips need.

    Args:
      network: a network that reads motion maps.
      rgb: the frames of B clips, uint8 [B, T, H, W, 3].
      flow: their optical flow, float32 [B, T, H, W, 2], (u, v) in pixels of the frames.

    Returns:
      the motion inputs of the signature `key_frame`, {name: tensor}: for each map of
      the action backbone action logits [B, h, w, 2 |Y|], for the upper half of a box,
      then for its lower half; for flow histograms [B, h, w, channels]; and
      `motion_size`, int32 [B, 2], height and width of the motion frames.
    """
    shape = tf.shape(rgb)
    clip = _Clip(rgb, flow, shape[1], motion_size(shape[2:4]))
    maps = {}
    if network.action_backbone is not None:
        maps.update(_logits_of_clip(network, clip))
    if network.model_config.flow_histograms:
        maps[FLOW_HISTOGRAMS.name] = _flow_histograms_of_clip(clip)
    maps[motion_graphs.MOTION_SIZE] = tf.tile(clip.motion_size[None], [shape[0], 1])
    return maps


def motion_size(size: tf.Tensor) -> tf.Tensor:
    """Return height and width of the motion frames of a video, in a graph.

    Motion frames are the frames to which a video is resized before motion maps are
    computed. This is `motion_maps.frame_size` for a size that is a tensor.

    Args:
      size: int32 [2], height and width of the video's frames in pixels.

    Returns:
      int32 [2], height and width in pixels.
    """
    sides = tf.cast(size, tf.float64)
    ratio = tf.reduce_max(sides) / tf.reduce_min(sides)
    multiple = motion_maps.MULTIPLE
    longer = multiple * tf.cast(
        tf.round(motion_maps.SHORT_SIDE * ratio / multiple), tf.int32
    )
    longer = tf.minimum(longer, motion_maps.LONGEST_SIDE)
    is_tall = size[0] > size[1]
    height = tf.where(is_tall, longer, motion_maps.SHORT_SIDE)
    width = tf.where(is_tall, motion_maps.SHORT_SIDE, longer)
    return tf.stack([height, width])


class _Blocks(NamedTuple):
    """The blocks of frames that the key frames of clips need.

    Attributes:
      frames: uint8 [B n, BLOCK, h, w, 3], motion frames; n blocks of each clip.
      first: number of their first frame.
    """

    frames: tf.Tensor
    first: tf.Tensor


def _logits_of_clip(network: Network, clip: _Clip) -> dict[str, tf.Tensor]:
    """Return the logit maps of the key frames, {name: [B, h, w, 2 |Y|]}."""
    blocks = _blocks_of_clip(clip)
    batch = tf.shape(clip.rgb)[0]
    logits = motion_graphs.block_logits(network, blocks.frames)
    means = {}
    for kind in motion_graphs.backbone_maps(network):
        means[kind.name] = _mean_around(
            kind,
            _reshape_leading(logits[kind.name], [batch, -1], axes=2),
            first=blocks.first // kind.frames,
            count=-(-clip.length // kind.frames),
            key=clip.key,
        )
    return means


def _blocks_of_clip(clip: _Clip) -> _Blocks:
    """Return the blocks of `motion_maps.blocks_around`.

    Copies of its last frame fill up the last block of a clip.
    """
    first = tf.maximum(clip.key - motion_maps.REACH, 0) // BLOCK * BLOCK
    last = tf.minimum(
        (clip.key + motion_maps.REACH) // BLOCK * BLOCK + BLOCK, clip.length
    )
    frames = clip.rgb[:, first:last]
    padding = tf.repeat(frames[:, -1:], -tf.shape(frames)[1] % BLOCK, axis=1)
    frames = tf.concat([frames, padding], axis=1)
    frames = _reshape_leading(frames, [-1], axes=2)
    frames = tf.round(canvas_ops.resize(frames, clip.motion_size))
    frames = tf.cast(frames, tf.uint8)
    return _Blocks(_reshape_leading(frames, [-1, BLOCK], axes=1), first)


def _flow_histograms_of_clip(clip: _Clip) -> tf.Tensor:
    """Return the flow histograms of the key frames, [B, h, w, channels]."""
    # Of pairs of frames, by the flow of the second one; only those around.
    kind = FLOW_HISTOGRAMS
    flow = clip.flow[:, 1 :: kind.frames]
    first = tf.maximum(clip.key - kind.span, 0) // kind.frames
    flow = flow[:, first : (clip.key + kind.span) // kind.frames + 1]
    leading = tf.shape(flow)[:2]
    flow = _reshape_leading(flow, [-1], axes=2)
    stored_size = tf.cast(tf.shape(flow)[1:3], tf.float32)
    scale = tf.cast(clip.motion_size, tf.float32) / stored_size
    vectors = canvas_ops.resize(flow, clip.motion_size)
    vectors = canvas_ops.scale_vectors(vectors, scale[::-1])
    histograms = motion_graphs.histograms(vectors)[kind.name]
    maps = _reshape_leading(histograms, leading, axes=1)
    return _mean_around(kind, maps, first=first, count=first + leading[1], key=clip.key)


def _reshape_leading(
    values: tf.Tensor, shape: tf.Tensor | Sequence[Any], axes: int
) -> tf.Tensor:
    """Give the first `axes` axes of a tensor another shape."""
    return tf.reshape(values, tf.concat([shape, tf.shape(values)[axes:]], axis=0))


def _mean_around(
    kind: MotionMap,
    maps: tf.Tensor,
    *,
    first: tf.Tensor,
    count: tf.Tensor,
    key: tf.Tensor,
) -> tf.Tensor:
    """Average the maps of `motion_maps.maps_around`; zeros if none exists.

    Args:
      kind: the kind of maps.
      maps: [B, n, h, w, C], n successive maps of each clip.
      first: number of the first of these maps in the clip.
      count: number of maps that the clip has; maps from this number on are padding.
      key: number of the key frame in the clip, from 0.

    Returns:
      [B, h, w, C].
    """
    numbers = first + tf.range(tf.shape(maps)[1])
    middles = tf.cast(numbers * kind.frames, tf.float32) + (kind.frames - 1) / 2
    distances = tf.abs(middles - tf.cast(key, tf.float32))
    counted = tf.cast((distances <= kind.span) & (numbers < count), tf.float32)
    weights = tf.math.divide_no_nan(counted, tf.reduce_sum(counted))
    return tf.einsum("t,bthwc->bhwc", weights, maps)
