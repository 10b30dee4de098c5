"""Maps, averaged over the upper and over the lower half of boxes."""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.ops.motion_maps import FLOW_HISTOGRAMS, MotionMap

_GRID = 8  # a box is sampled at 8 x 8 points
_LEAST_HEIGHT = 1e-3  # boxes count as no lower than this, in heights of the frame


def average_map(
    values: tf.Tensor, boxes: tf.Tensor, canvas: tuple[int, int]
) -> tf.Tensor:
    """Average a map over the upper and over the lower half of each box.

    A box is sampled bilinearly at 8 x 8 points.

    Args:
      values: [B, h, w, C], features or logits; the map covers the whole canvas.
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      canvas: (height, width) in pixels of the network's input.

    Returns:
      float32 [B, N, 2, C], of the upper half, then of the lower.
    """
    # The corners of the map are the centres of its outer cells, which also hold beyond
    # these.
    height, width = tf.unstack(tf.cast(tf.shape(values)[1:3], tf.float32))
    canvas_height, canvas_width = canvas
    scale = tf.stack([height / canvas_height, width / canvas_width] * 2)
    last = tf.maximum(tf.stack([height, width] * 2) - 1.0, 1.0)
    cells = (tf.reshape(boxes, [-1, 4]) * scale - 0.5) / last
    cells = tf.clip_by_value(cells, 0.0, 1.0)
    return _average_halves(values, cells, tf.shape(boxes)[1])


def average_motion_map(
    motion_map: MotionMap,
    values: tf.Tensor,
    boxes: tf.Tensor,
    *,
    inside: tf.Tensor,
    size: tf.Tensor,
) -> tf.Tensor:
    """Average a motion map over the upper and over the lower half of each box.

    A frame covers its map from the first cell on; the rest of the map is padding, since
    maps of frames of several sizes share a batch. Averages of flow histograms are
    divided by the box's height in heights of the frame, and their root is taken: so a
    movement of one actor is as large near the camera as far from it.

    Args:
      motion_map: the kind of motion map; its stride is read.
      values: [B, h, w, C], padded at the right and at the bottom.
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      inside: int32 [B, 2], height and width in pixels of the frames inside the padded
        canvas.
      size: int32 [B, 2], height and width in pixels of the motion frames, from which
        the maps were computed.

    Returns:
      float32 [B, N, 2, C], of the upper half, then of the lower.
    """
    frame = tf.tile(tf.cast(inside, tf.float32), [1, 2])[:, None]
    count = tf.tile(size // motion_map.stride, [1, 2])[:, None]
    count = tf.cast(count, tf.float32)
    cells = tf.clip_by_value(boxes / frame * count - 0.5, 0.0, count - 1.0)
    last = tf.tile(tf.shape(values)[1:3], [2]) - 1
    cells /= tf.cast(tf.maximum(last, 1), tf.float32)
    cells = tf.reshape(cells, [-1, 4])
    halves = _average_halves(values, cells, tf.shape(boxes)[1])
    if motion_map != FLOW_HISTOGRAMS:
        return halves
    heights = (boxes[..., 2] - boxes[..., 0]) / frame[..., 0]
    heights = tf.maximum(heights, _LEAST_HEIGHT)
    return tf.sqrt(halves / heights[..., None, None])


def _average_halves(values: tf.Tensor, cells: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Average a map over the upper and over the lower half of each box.

    Args:
      values: [B, h, w, C].
      cells: [B * count, 4], boxes (y1, x1, y2, x2); 0 is the centre of the map's first
        cell, 1 the centre of its last one.
      count: number of boxes of a frame.

    Returns:
      [B, count, 2, C].
    """
    frames = tf.repeat(tf.range(tf.shape(values)[0]), count)
    crops = tf.image.crop_and_resize(values, cells, frames, [_GRID, _GRID])
    crops = tf.reshape(crops, [-1, count, 2, _GRID * _GRID // 2, values.shape[-1]])
    return tf.reduce_mean(crops, axis=3)
