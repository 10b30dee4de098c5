"""From the scores of RoIs to detections: NMS per class, the best valid action, masks.

Classes are those of `classes`. Boxes are y1, x1, y2, x2 in pixels of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.classes import Tensors


def select(
    table: Tensors,
    labels: LabelSpace,
    label_mode: str,
    *,
    score_threshold: float,
    nms_threshold: float,
    max_detections: int,
    action_threshold: float = 0.0,
) -> Tensors:
    """Select instances: the (RoI, class) with p(class) >= threshold that survive per-class NMS.

    An instance's action is the best valid one of its actor; instances whose p(action) is below the
    action threshold are then dropped.

    Args:
      table: the result of `classes.score_rois`.
      labels, label_mode: as for `classes.score_rois`.
      score_threshold, nms_threshold, max_detections: as for `suppress`.
      action_threshold: least p(action); 0 keeps all.

    Returns:
      dict of boxes [B, N, 4], class [B, N] int32, class_score [B, N], actor, action, code (int32
      [B, N], the code's 1-based digits, 0 in unused rows), score [B, N] (joint), actor_scores
      [B, N, |X|], action_scores [B, N, |Y|], num_detections int32 [B]. Best first by class score.
    """
    kept, roi = suppress(
        table["class_scores"],
        table["class_boxes"],
        score_threshold=score_threshold,
        nms_threshold=nms_threshold,
        max_detections=max_detections,
    )
    names = ("actor_scores", "action_scores", "joint_scores")
    scores = {name: tf.gather(table[name], roi, batch_dims=1) for name in names}
    return assign_actions(kept, scores, labels, label_mode, action_threshold=action_threshold)


def suppress(
    scores: tf.Tensor,
    boxes: tf.Tensor,
    *,
    score_threshold: float,
    nms_threshold: float,
    max_detections: int,
) -> tuple[Tensors, tf.Tensor]:
    """Apply NMS within each class: the part of `select` that needs no action.

    Args:
      scores, boxes: the results of `classes.score_classes`.
      score_threshold: least p(class); a score of 0 is never kept.
      nms_threshold: boxes whose IoU with a better one of their class is higher are suppressed.
      max_detections: N, kept at most.

    Returns:
      (dict of boxes, class, class_score and num_detections as in `select`, the RoI of each instance
      int32 [B, N]).
    """
    count, classes = scores.shape[1], scores.shape[2]
    candidates = min(count * classes, 10 * max_detections)
    flat, index = tf.math.top_k(tf.reshape(scores, [-1, count * classes]), candidates)
    boxes = tf.gather(tf.reshape(boxes, [-1, count * classes, 4]), index, batch_dims=1)
    roi, which = index // classes, index % classes
    # The op's threshold is exclusive, ours inclusive.
    below = float(np.nextafter(np.float32(score_threshold), np.float32(0)))
    # Move classes apart, so that one suppression serves them all.
    apart = tf.cast(which, tf.float32)[..., None] * (tf.reduce_max(boxes) + 1.0)

    # One frame at a time: combined_non_max_suppression, the batched op, does not tell which boxes
    # it kept and has no GPU kernel.
    def suppress_frame(arguments):
        return tuple(
            tf.raw_ops.NonMaxSuppressionV4(
                boxes=arguments[0],
                scores=arguments[1],
                max_output_size=max_detections,
                iou_threshold=nms_threshold,
                score_threshold=below,
                pad_to_max_output_size=True,
            )
        )

    chosen, number = tf.map_fn(
        suppress_frame, (boxes + apart, flat), fn_output_signature=(tf.int32, tf.int32)
    )
    chosen = tf.ensure_shape(chosen, [None, max_detections])
    rows = {"boxes": boxes, "class": which, "class_score": flat, "roi": roi}
    kept = _gather_rows(rows, chosen, number)
    roi = kept.pop("roi")
    return {**kept, "num_detections": number}, roi


def assign_actions(
    kept: Tensors,
    scores: Tensors,
    labels: LabelSpace,
    label_mode: str,
    *,
    action_threshold: float = 0.0,
) -> Tensors:
    """Assign actor, action and code to the instances of `suppress`: the second half of `select`.

    Args:
      kept: the first result of `suppress`.
      scores: actor_scores, action_scores and joint_scores of the instances' RoIs.
      labels, label_mode, action_threshold: as for `select`.

    Returns:
      The result of `select`.
    """
    detections, which = dict(kept), kept["class"]
    used = tf.sequence_mask(kept["num_detections"], which.shape[1])
    for name in ("actor_scores", "action_scores"):
        detections[name] = tf.where(used[..., None], scores[name], 0.0)
    if label_mode == "cartesian":
        actor = tf.gather(tf.constant(labels.pairs[:, 0], tf.int32), which)
        action = tf.gather(tf.constant(labels.pairs[:, 1], tf.int32), which)
        score = detections["class_score"]
    else:
        actor = which
        joint = tf.gather(scores["joint_scores"], actor, batch_dims=2)
        # Where every action underflows to 0, an invalid one must still lose.
        valid = tf.gather(tf.constant(labels.valid, tf.float32), actor)
        action = tf.argmax(joint + valid * 1e-30, axis=2, output_type=tf.int32)
        score = tf.reduce_max(joint, axis=2)
    detections.update(
        actor=tf.where(used, actor + 1, 0),
        action=tf.where(used, action + 1, 0),
        code=tf.where(used, labels.encode(actor, action), 0),
        score=tf.where(used, score, 0.0),
    )
    if not action_threshold:
        return detections
    probability = tf.gather(detections["action_scores"], action, batch_dims=2)
    keep = used & (probability >= action_threshold)
    order = tf.argsort(tf.cast(~keep, tf.int32), axis=1, stable=True)
    number = tf.reduce_sum(tf.cast(keep, tf.int32), axis=1)
    del detections["num_detections"]
    return {**_gather_rows(detections, order, number), "num_detections": number}


def _gather_rows(rows, index, number):
    """Gather rows [B, M, ...] by index [B, N]; those from `number` [B] on are zero."""
    used = tf.sequence_mask(number, index.shape[1])

    def gather(values):
        values = tf.gather(values, index, batch_dims=1)
        mask = tf.reshape(used, [-1, index.shape[1]] + [1] * (values.shape.rank - 2))
        return tf.where(mask, values, tf.zeros_like(values))

    return {name: gather(values) for name, values in rows.items()}


def logits_of_classes(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Pick each row's mask logits by its class: [B, N, m, m, C], [B, N] -> [B, N, m, m]."""
    return tf.gather(tf.transpose(logits, [0, 1, 4, 2, 3]), classes, batch_dims=2)


def masks_of_classes(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Pick each instance's mask by its class: [B, N, m, m, C], [B, N] -> sigmoid [B, N, m, m]."""
    return tf.sigmoid(logits_of_classes(logits, classes))


def apply_to_used_rows(
    function: Callable[..., tf.Tensor], number: tf.Tensor, *rows: tf.Tensor
) -> tf.Tensor:
    """Apply `function` to the used rows (at least one) and zero-pad the rest.

    Args:
      function: of tensors [B, n, ...]; returns [B, n, ...].
      number: int32 [B], number of used rows, which come first.
      rows: [B, N, ...] each.

    Returns:
      [B, N, ...]; rows used only in other frames of the batch are not zero.
    """
    most, count = rows[0].shape[1], tf.maximum(tf.reduce_max(number), 1)
    values = function(*(x[:, :count] for x in rows))
    shape = values.shape[2:]
    values = tf.pad(values, [[0, 0], [0, most - count]] + [[0, 0]] * len(shape))
    return tf.ensure_shape(values, [None, most, *shape])
