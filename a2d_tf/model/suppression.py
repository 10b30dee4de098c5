"""Non-maximum suppression of RoIs, and box voting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.ops import boxes as box_ops

_CANDIDATES = 10  # for each detection
_VOTING_IOU = 0.5


class Kept(NamedTuple):
    """What suppression keeps of a frame, best first; `number` of the N rows are used.

    Attributes:
      number: int32 [B].
      boxes: [B, N, 4].
      classes: int32 [B, N].
      class_scores: [B, N].
      roi: int32 [B, N], the RoI that each row comes from.
    """

    number: tf.Tensor
    boxes: tf.Tensor
    classes: tf.Tensor
    class_scores: tf.Tensor
    roi: tf.Tensor


def suppress(scores: tf.Tensor, boxes: tf.Tensor, settings: InferenceConfig) -> Kept:
    """Keep the (RoI, class) above the threshold that survive the NMS of their class.

    Args:
      scores: of classes, [B, R, C].
      boxes: of classes, [B, R, C, 4].
      settings: `score_threshold`, least p(class), where a negative one counts as 0, and
        a score of 0 is never kept; `nms_threshold`: boxes whose IoU with a better one
        of their class is higher are suppressed; `max_detections`: N, kept at most, of
        the best _CANDIDATES times as many.
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
    return Kept(
        number,
        boxes=gather_used(boxes, selected, number),
        classes=gather_used(classes, selected, number),
        class_scores=gather_used(best_scores, selected, number),
        roi=gather_used(roi, selected, number),
    )


def vote(kept: tf.Tensor, boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Average the boxes that agree with each kept one, of IoU 0.5 or more, by score.

    Regression that few videos have taught errs differently from each RoI. Box voting:
    Gidaris and Komodakis, "Object detection via a multi-region & semantic
    segmentation-aware CNN model", 2015.

    Args:
      kept: [B, N, 4].
      boxes: [B, R, 4].
      scores: [B, R].

    Returns:
      [B, N, 4].
    """
    agrees = box_ops.iou(kept, boxes) >= _VOTING_IOU
    weight = tf.where(agrees, scores[:, None], 0.0)
    total = tf.reduce_sum(weight, axis=2, keepdims=True)
    return tf.where(total > 0, tf.math.divide_no_nan(weight @ boxes, total), kept)


def gather_rows(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Gather rows of values [B, M, ...] by index [B, N]: [B, N, ...]."""
    return tf.gather(values, index, batch_dims=1)


def gather_used(values: tf.Tensor, index: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Gather rows as `gather_rows`; those from `number` [B] on become zero."""
    used = tf.sequence_mask(number, index.shape[1])
    values = gather_rows(values, index)
    mask = tf.reshape(used, [-1, index.shape[1]] + [1] * (values.shape.rank - 2))
    return tf.where(mask, values, tf.zeros_like(values))
