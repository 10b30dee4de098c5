"""Turn the heads' outputs into detections (paper, section 4).

Every RoI gets scores of classes, actions and pairs; then come NMS per class, the best valid action
and the masks. Classes are the actors or, with cartesian labels, the valid pairs. Boxes are y1, x1,
y2, x2 in pixels of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import InferenceConfig
from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops import boxes as box_ops

Tensors = dict[str, tf.Tensor]

_ROWS = 8


def num_classes(labels: LabelSpace, label_mode: str) -> int:
    """Return the number of classes of the actor head, without background."""
    return len(labels.codes) if label_mode == "cartesian" else len(labels.actors)


def num_action_classes(labels: LabelSpace, label_mode: str, background: bool) -> int:
    """Return the outputs of the action head: |Y| (+ 1 for background), or |X| |Y| for p(y | x)."""
    count = len(labels.actions)
    return count * len(labels.actors) if label_mode == "hierarchical" else count + background


def score_classes(
    outputs: Tensors, rois: tf.Tensor, valid: tf.Tensor, size: tf.Tensor, *, coder: box_ops.BoxCoder
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the `class_scores` and `class_boxes` of `score_rois`, by the actor head alone."""
    row = tf.cast(valid, tf.float32)[..., None]
    scores = tf.nn.softmax(outputs["class_logits"])[..., :-1] * row
    return scores, box_ops.clip(coder.decode(outputs["deltas"], rois[:, :, None]), size)


def score_rois(
    outputs: Tensors,
    rois: tf.Tensor,
    valid: tf.Tensor,
    size: tf.Tensor,
    *,
    labels: LabelSpace,
    label_mode: str,
    coder: box_ops.BoxCoder,
) -> Tensors:
    """Compute scores and boxes of every RoI for every class, actor, action and pair.

    The joint score is p(actor) p(action), p(actor) p(action | actor) or, with cartesian labels, the
    pair's own probability; invalid pairs score 0, without renormalisation (paper, section 4).

    Args:
      outputs: class_logits [B, R, C + 1], deltas [B, R, C, 4] and, except with cartesian labels,
        action_logits [B, R, |Y|], or [B, R, |Y| + 1] with background last; with hierarchical labels
        [B, R, |X| |Y|].
      rois: [B, R, 4]; valid: bool [B, R]; size: int [B, 2] of the frames in the canvas.
      label_mode: 'decoupled', 'hierarchical' or 'cartesian'.
      coder: the box coder of the deltas.

    Returns:
      dict of class_scores [B, R, C], class_boxes [B, R, C, 4], boxes [B, R, |X|, 4],
      actor_scores [B, R, |X|], action_scores [B, R, |Y|], joint_scores [B, R, |X|, |Y|] and, with
      cartesian labels, joint_boxes [B, R, |X|, |Y|, 4]. Invalid rows score 0. With background among
      the actions, action_scores add up to 1 - p(background).
    """
    class_scores, class_boxes = score_classes(outputs, rois, valid, size, coder=coder)
    table = {"class_scores": class_scores, "class_boxes": class_boxes}
    count = rois.shape[1] or tf.shape(rois)[1]
    if label_mode == "cartesian":
        return {**table, **_pair_scores(class_scores, class_boxes, count, labels)}
    valid_pairs = tf.constant(labels.valid, tf.float32)
    if label_mode == "hierarchical":
        logits = tf.reshape(outputs["action_logits"], [-1, count, *labels.valid.shape])
        joint = class_scores[..., None] * tf.nn.softmax(logits)
        # Over valid pairs only: an actor adds nothing to an action that it cannot do.
        actions = tf.reduce_sum(joint * valid_pairs, axis=2)
    else:
        row = tf.cast(valid, tf.float32)[..., None]
        # Background keeps its share of the probability. Otherwise RoIs on background, on which the
        # actions were never trained, would lead the ranking by p(action).
        actions = tf.nn.softmax(outputs["action_logits"])[..., : len(labels.actions)] * row
        joint = class_scores[..., None] * actions[:, :, None, :]
    table.update(
        actor_scores=class_scores,
        action_scores=actions,
        joint_scores=joint * valid_pairs,
        boxes=class_boxes,
    )
    return table


def _pair_scores(class_scores, class_boxes, count, labels):
    """Compute the rest of `score_rois` for cartesian labels, whose classes are the valid pairs."""
    num_actors, num_actions = labels.valid.shape
    # Invalid pairs read the row of zeros that is padded behind the last class.
    source = np.full(num_actors * num_actions, len(labels.codes))
    source[labels.pairs[:, 0] * num_actions + labels.pairs[:, 1]] = np.arange(len(labels.codes))
    scores = tf.gather(tf.pad(class_scores, [[0, 0], [0, 0], [0, 1]]), source, axis=2)
    boxes = tf.gather(tf.pad(class_boxes, [[0, 0], [0, 0], [0, 1], [0, 0]]), source, axis=2)
    joint = tf.reshape(scores, [-1, count, num_actors, num_actions])
    boxes = tf.reshape(boxes, [-1, count, num_actors, num_actions, 4])
    # An actor's box is that of its best pair, a valid one even where all of them score 0.
    best = tf.argmax(joint + tf.constant(labels.valid, tf.float32) * 1e-30, axis=3)
    return {
        "actor_scores": tf.reduce_sum(joint, axis=3),
        "action_scores": tf.reduce_sum(joint, axis=2),
        "joint_scores": joint,
        "joint_boxes": boxes,
        "boxes": tf.gather(boxes, best, batch_dims=3),
    }


def select(
    table: Tensors, labels: LabelSpace, label_mode: str, settings: InferenceConfig
) -> Tensors:
    """Select instances: the (RoI, class) with p(class) >= threshold that survive per-class NMS.

    An instance's action is the best valid one of its actor; instances whose p(action) is below the
    action threshold are then dropped.

    Args:
      table: the result of `score_rois`.
      settings: those of `suppress`, and action_threshold: least p(action); 0 keeps all.

    Returns:
      dict of boxes [B, N, 4], class [B, N] int32, class_score [B, N], actor, action, code (int32
      [B, N], the code's 1-based digits, 0 in unused rows), score [B, N] (joint), actor_scores
      [B, N, |X|], action_scores [B, N, |Y|], num_detections int32 [B]. Best first by class score.
    """
    kept, roi = suppress(table["class_scores"], table["class_boxes"], settings)
    names = ("actor_scores", "action_scores", "joint_scores")
    scores = {name: tf.gather(table[name], roi, batch_dims=1) for name in names}
    return assign_actions(kept, scores, labels, label_mode, settings.action_threshold)


def suppress(
    scores: tf.Tensor, boxes: tf.Tensor, settings: InferenceConfig
) -> tuple[Tensors, tf.Tensor]:
    """Apply NMS within each class: the part of `select` that needs no action.

    Args:
      scores, boxes: the results of `score_classes`.
      settings: score_threshold, least p(class), where a negative one counts as 0, and a score of 0
        is never kept; nms_threshold, boxes whose IoU with a better one of their class is higher are
        suppressed; max_detections: N, kept at most.

    Returns:
      (dict of boxes, class, class_score and num_detections as in `select`, the RoI of each instance
      int32 [B, N]).
    """
    max_detections, threshold = settings.max_detections, max(settings.score_threshold, 0.0)
    count, classes = scores.shape[1], scores.shape[2]
    candidates = min(count * classes, 10 * max_detections)
    flat, index = tf.math.top_k(tf.reshape(scores, [-1, count * classes]), candidates)
    boxes = tf.gather(tf.reshape(boxes, [-1, count * classes, 4]), index, batch_dims=1)
    roi, which = index // classes, index % classes
    # The op's threshold is exclusive, ours inclusive.
    below = float(np.nextafter(np.float32(threshold), np.float32(0)))
    # Move classes apart, so that one suppression serves them all.
    apart = tf.cast(which, tf.float32)[..., None] * (tf.reduce_max(boxes) + 1.0)

    # One frame at a time: combined_non_max_suppression, the batched op, does not tell which boxes
    # it kept and has no GPU kernel.
    def suppress_frame(arguments: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.raw_ops.NonMaxSuppressionV4(
                boxes=arguments[0],
                scores=arguments[1],
                max_output_size=max_detections,
                iou_threshold=settings.nms_threshold,
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
    kept: Tensors, scores: Tensors, labels: LabelSpace, label_mode: str, action_threshold: float
) -> Tensors:
    """Assign actor, action and code to the instances of `suppress`: the second half of `select`.

    Args:
      kept: the first result of `suppress`.
      scores: actor_scores, action_scores and joint_scores of the instances' RoIs.
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

    def gather(values: tf.Tensor) -> tf.Tensor:
        values = tf.gather(values, index, batch_dims=1)
        mask = tf.reshape(used, [-1, index.shape[1]] + [1] * (values.shape.rank - 2))
        return tf.where(mask, values, tf.zeros_like(values))

    return {name: gather(values) for name, values in rows.items()}


def logits_of_classes(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Pick each row's mask logits by its class: [B, N, m, m, C], [B, N] -> [B, N, m, m]."""
    return tf.gather(tf.transpose(logits, [0, 1, 4, 2, 3]), classes, batch_dims=2)


def apply_to_used_rows(
    function: Callable[..., tf.Tensor], number: tf.Tensor, *rows: tf.Tensor, on_gpu: bool = False
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
    if on_gpu:
        # cuDNN chooses an algorithm anew for each number of rows, which takes dozens of calls.
        count = tf.minimum(-(-count // _ROWS) * _ROWS, most)
    values = function(*(x[:, :count] for x in rows))
    shape = values.shape[2:]
    values = tf.pad(values, [[0, 0], [0, most - count]] + [[0, 0]] * len(shape))
    return tf.ensure_shape(values, [None, most, *shape])
