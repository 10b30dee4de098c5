"""Boxes: float32 [..., 4] as (y1, x1, y2, x2), pixels, 0-based, half-open.

An area is (y2 - y1) * (x2 - x1), without the +1 of some other code. Boxes are coded as
in Faster R-CNN (Ren et al. 2015), with deltas in the order (dy, dx, dh, dw).
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

# Bounds exp(dh), so that no prediction becomes an infinite box.
MAX_LOG_SCALE = math.log(1000.0 / 16)


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Return the areas [...] of boxes [..., 4]; a box with y2 < y1 or x2 < x1 has 0."""
    y1, x1, y2, x2 = tf.unstack(boxes, 4, axis=-1)
    return tf.nn.relu(y2 - y1) * tf.nn.relu(x2 - x1)


def iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return the IoU of each box of `a` with each box of `b`.

    Args:
      a: float32 [..., N, 4] (y1, x1, y2, x2), pixels.
      b: float32 [..., M, 4], likewise.

    Returns:
      float32 [..., N, M]; the IoU of two empty boxes is 0.
    """
    a_first, a_last = tf.split(tf.expand_dims(a, -2), 2, axis=-1)
    b_first, b_last = tf.split(tf.expand_dims(b, -3), 2, axis=-1)
    sides = tf.nn.relu(tf.minimum(a_last, b_last) - tf.maximum(a_first, b_first))
    height, width = tf.unstack(sides, 2, axis=-1)
    intersection = height * width
    union = tf.expand_dims(area(a), -1) + tf.expand_dims(area(b), -2) - intersection
    return tf.math.divide_no_nan(intersection, union)


@dataclasses.dataclass(frozen=True)
class BoxCoder:
    """Converts boxes to deltas (dy, dx, dh, dw) from anchors, and back.

    Attributes:
      weights: four factors, by which dy, dx, dh and dw are multiplied in encoding and
        divided in decoding.
      max_log_scale: upper limit of log(height / anchor height) and of log(width /
        anchor width) in decoding, so that exp() stays finite.
    """

    weights: tuple
    max_log_scale: float = MAX_LOG_SCALE

    def encode(self, boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
        """Return the deltas from anchors to boxes, the regression targets of a head.

        (dy, dx) = (centre - anchor centre) / anchor size * weights[:2] and
        (dh, dw) = log(size / anchor size) * weights[2:], where sizes are (height,
        width), floored at a hundredth of a pixel.

        Args:
          boxes: float32 [..., 4] (y1, x1, y2, x2), pixels.
          anchors: float32 [..., 4], the anchor or RoI of each box, likewise.

        Returns:
          float32 [..., 4], (dy, dx, dh, dw).
        """
        centre, size = _centre_size(boxes)
        anchor_centre, anchor_size = _centre_size(anchors)
        size = tf.maximum(size, 0.01)
        anchor_size = tf.maximum(anchor_size, 0.01)
        shift = (centre - anchor_centre) / anchor_size
        scale = tf.math.log(size / anchor_size)
        weights = tf.constant(self.weights, tf.float32)
        return tf.concat([shift, scale], axis=-1) * weights

    def decode(self, deltas: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
        """Return the boxes that a head's deltas describe, the inverse of `encode`.

        Args:
          deltas: float32 [..., 4], (dy, dx, dh, dw).
          anchors: float32 [..., 4] (y1, x1, y2, x2), pixels: the anchor or RoI of each
            delta.

        Returns:
          float32 [..., 4] (y1, x1, y2, x2), pixels, not clipped to the image.
        """
        weights = tf.constant(self.weights, tf.float32)
        shift, scale = tf.split(deltas / weights, 2, axis=-1)
        anchor_centre, anchor_size = _centre_size(anchors)
        centre = anchor_centre + shift * anchor_size
        half = 0.5 * anchor_size * tf.exp(tf.minimum(scale, self.max_log_scale))
        return tf.concat([centre - half, centre + half], axis=-1)


def clip(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Clip boxes to their frames; a box outside its frame becomes empty.

    Args:
      boxes: float32 [B, ..., 4] (y1, x1, y2, x2), pixels.
      size: [B, 2], height and width of each frame in pixels.

    Returns:
      float32 [B, ..., 4].
    """
    size = tf.cast(size, boxes.dtype)
    limit = tf.concat([size, size], axis=-1)
    limit = tf.reshape(limit, [-1] + [1] * (boxes.shape.rank - 2) + [4])
    return tf.clip_by_value(boxes, 0.0, limit)


def _centre_size(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    first, last = tf.split(boxes, 2, axis=-1)
    size = last - first
    return first + 0.5 * size, size
