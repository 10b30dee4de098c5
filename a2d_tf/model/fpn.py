"""Feature pyramid network (Lin et al. 2017) and its region proposal network (paper, 3.1)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from a2d_tf.model.layers import OUTPUT_STDDEV, ConvNorm
from a2d_tf.ops import boxes as box_ops

_NMS_THRESHOLD = 0.7  # boxes that overlap a better proposal by more are suppressed


def upsample(x: tf.Tensor) -> tf.Tensor:
    """Double [N, H, W, C] by nearest neighbour.

    By broadcasting, which is deterministic and compiles; rows before columns, since the gradient of
    both at once takes seven times as long.
    """
    height, width, channels = x.shape[1:]
    for group in (channels, 2 * width * channels):
        x = tf.reshape(x, [-1, 1, group])
        x = tf.broadcast_to(x, tf.stack([tf.shape(x)[0], 2, group]))
    return tf.reshape(x, [-1, 2 * height, 2 * width, channels])


def fpn(maps: list[tf.Tensor], channels: int, name: str = "fpn") -> list[tf.Tensor]:
    """Build the pyramid P2..P5 from C2..C5: lateral 1x1, top-down sum, 3x3 at each level.

    Args:
      maps: list of [N, H_l, W_l, C_l], each half the size of the one before.

    Returns:
      list of [N, H_l, W_l, channels], finest first.
    """
    laterals = [
        ConvNorm(channels, 1, relu=False, name=f"{name}_c{level + 2}p{level + 2}")(x)
        for level, x in enumerate(maps)
    ]
    tops = [laterals[-1]]
    for lateral in reversed(laterals[:-1]):
        tops.insert(0, lateral + upsample(tops[0]))
    return [
        ConvNorm(channels, 3, relu=False, name=f"{name}_p{level + 2}")(x)
        for level, x in enumerate(tops)
    ]


def rpn(
    pyramid: list[tf.Tensor], channels: int, anchors_per_cell: list[int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Predict objectness and box deltas of every anchor, by one head shared over P2..P6.

    The head has as many outputs as the level with the most anchors; other levels use the last of
    them, so that the largest anchors of all levels share their weights.

    Args:
      pyramid: list of [B, H_l, W_l, C].
      channels: width of the hidden layer.
      anchors_per_cell: number of anchors per cell, of each level.

    Returns:
      (logits [B, A], deltas [B, A, 4]), float32, in the order of `anchors.generate`.
    """
    most = max(anchors_per_cell)
    shared = ConvNorm(channels, 3, name="rpn_conv")
    objectness = ConvNorm(most, 1, relu=False, stddev=OUTPUT_STDDEV, name="rpn_logits")
    regression = ConvNorm(4 * most, 1, relu=False, stddev=OUTPUT_STDDEV, name="rpn_deltas")
    logits, deltas = [], []
    for level, count in zip(pyramid, anchors_per_cell):
        hidden = shared(level)
        cells = level.shape[1] * level.shape[2] * count
        logits.append(tf.reshape(_last(objectness(hidden), count), [-1, cells]))
        deltas.append(tf.reshape(_last(regression(hidden), 4 * count), [-1, cells, 4]))
    return (
        tf.cast(tf.concat(logits, axis=1), tf.float32),
        tf.cast(tf.concat(deltas, axis=1), tf.float32),
    )


def _last(x, channels):
    # No operation where none is needed: each counts as a layer in the model's checkpoints.
    return x if x.shape[-1] == channels else x[..., -channels:]


def propose(
    logits: tf.Tensor,
    deltas: tf.Tensor,
    anchors: np.ndarray,
    size: tf.Tensor,
    coder: box_ops.BoxCoder,
    before_nms: int,
    after_nms: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Select regions of interest from the proposal network's output: top-k, decode, clip, NMS.

    Args:
      logits: [B, A]; deltas: [B, A, 4]; anchors: [A, 4].
      size: int [B, 2], height and width of each frame inside its padded canvas.
      coder: box coder.
      before_nms, after_nms: number of the best boxes to keep before and after NMS.

    Returns:
      (rois float32 [B, after_nms, 4], y1, x1, y2, x2, clipped to the frame, best first; valid bool
      [B, after_nms]). Invalid rows are zero. No gradient passes.
    """
    before_nms = min(before_nms, anchors.shape[0])
    scores, best = tf.math.top_k(tf.stop_gradient(logits), before_nms)
    boxes = coder.decode(
        tf.gather(tf.stop_gradient(deltas), best, batch_dims=1), tf.gather(anchors, best)
    )
    boxes = box_ops.clip(boxes, size)
    # Boxes in the padding are clipped to nothing; they must not count among `after_nms`.
    sides = boxes[..., 2:] - boxes[..., :2]
    scores = tf.where(tf.reduce_min(sides, axis=-1) >= 1.0, tf.sigmoid(scores), -1.0)
    rois, _, _, count = tf.image.combined_non_max_suppression(
        boxes[:, :, None, :],
        scores[:, :, None],
        after_nms,
        after_nms,
        _NMS_THRESHOLD,
        score_threshold=0.0,
        clip_boxes=False,
    )
    return rois, tf.sequence_mask(count, after_nms)
