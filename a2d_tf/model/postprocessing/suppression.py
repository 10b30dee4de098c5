"""Non-maximum suppression of RoIs, and box voting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model.postprocessing.used_rows import gather_used
from a2d_tf.ops import boxes as box_ops

_CANDIDATES = 10  # NMS compares so many times as many boxes as it may keep
_VOTING_IOU = 0.5


class ClassDetections(NamedTuple):
    """The boxes that suppression keeps, each of a class, best first.

    Each frame has N rows, of which the first `number` are used; the others are 0.

    Attributes:
      number: int32 [B], number of boxes in each frame.
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      classes: int32 [B, N], 0-based classes of the actor head.
      class_scores: float32 [B, N], p(class).
      roi: int32 [B, N], index of the RoI that each row comes from.
    """

    number: tf.Tensor
    boxes: tf.Tensor
    classes: tf.Tensor
    class_scores: tf.Tensor
    roi: tf.Tensor


def suppress(
    scores: tf.Tensor, boxes: tf.Tensor, settings: InferenceConfig
) -> ClassDetections:
    """Suppress boxes that overlap a better box of their class (NMS).

    Args:
      scores: float32 [B, R, C], the score of each RoI and class; static R and C.
      boxes: float32 [B, R, C, 4], the box of each RoI and class, (y1, x1, y2, x2) in
        pixels of the padded canvas.
      settings: three of them are read. `score_threshold` is the least score of a
        detection; a negative one counts as 0, and a score of 0 is never kept. A box is
        suppressed if its IoU with a better one of its class exceeds `nms_threshold`.
        `max_detections` is N, the most detections of a frame.

    Returns:
      N rows for each frame, best first.
    """
    max_detections = settings.max_detections
    threshold = max(settings.score_threshold, 0.0)
    num_rois = scores.shape[1]
    num_classes = scores.shape[2]
    candidates = min(num_rois * num_classes, _CANDIDATES * max_detections)
    flat_scores = tf.reshape(scores, [-1, num_rois * num_classes])
    best_scores, index = tf.math.top_k(flat_scores, candidates)
    flat_boxes = tf.reshape(boxes, [-1, num_rois * num_classes, 4])
    boxes = tf.gather(flat_boxes, index, batch_dims=1)
    roi = index // num_classes
    classes = index % num_classes
    # The op's threshold is exclusive, ours inclusive.
    below = float(np.nextafter(np.float32(threshold), np.float32(0)))
    # Move classes apart, so that one suppression serves them all.
    offset = tf.cast(classes, tf.float32)[..., None] * (tf.reduce_max(boxes) + 1.0)

    # One frame at a time: combined_non_max_suppression, the batched op, does not tell
    # which boxes it kept and has no GPU kernel.
    def suppress_frame(frame: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        frame_boxes, frame_scores = frame
        selected, number = tf.raw_ops.NonMaxSuppressionV4(
            boxes=frame_boxes,
            scores=frame_scores,
            max_output_size=max_detections,
            iou_threshold=settings.nms_threshold,
            score_threshold=below,
            pad_to_max_output_size=True,
        )
        return selected, number

    selected, number = tf.map_fn(
        suppress_frame,
        (boxes + offset, best_scores),
        fn_output_signature=(tf.int32, tf.int32),
    )
    selected = tf.ensure_shape(selected, [None, max_detections])
    return ClassDetections(
        number,
        boxes=gather_used(boxes, selected, number),
        classes=gather_used(classes, selected, number),
        class_scores=gather_used(best_scores, selected, number),
        roi=gather_used(roi, selected, number),
    )


def vote(kept: tf.Tensor, boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Replace each kept box by the mean of the boxes that overlap it (box voting).

    The mean is weighted by the scores, over boxes whose IoU with the kept one is at
    least 0.5. If the regression has learned from few videos, its errors differ from RoI
    to RoI, and the mean has smaller ones. Gidaris and Komodakis, "Object detection via
    a multi-region & semantic segmentation-aware CNN model", 2015.

    Args:
      kept: float32 [B, N, 4], the boxes that suppression keeps, (y1, x1, y2, x2).
      boxes: float32 [B, R, 4], the boxes before suppression.
      scores: float32 [B, R], 1 - p(background) or another score of each of `boxes`.

    Returns:
      float32 [B, N, 4]; a box that no box with a score overlaps stays.
    """
    agrees = box_ops.iou(kept, boxes) >= _VOTING_IOU
    weight = tf.where(agrees, scores[:, None], 0.0)
    total = tf.reduce_sum(weight, axis=2, keepdims=True)
    return tf.where(total > 0, tf.math.divide_no_nan(weight @ boxes, total), kept)
