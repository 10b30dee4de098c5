"""Classes of the actor head and scores of every pair of actor and action (paper, section 4).

Classes are the actors or, with cartesian labels, the valid pairs. Boxes are y1, x1, y2, x2 in
pixels of the canvas.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops import boxes as box_ops

Tensors = dict[str, tf.Tensor]


def class_of_pair(labels: LabelSpace, label_mode: str) -> np.ndarray:
    """Return the class index of each valid pair: int32 [P]."""
    return np.arange(len(labels.codes)) if label_mode == "cartesian" else labels.pairs[:, 0]


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
      labels: the label space.
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
    """The rest of `score_rois` for cartesian labels, whose classes are the valid pairs."""
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
