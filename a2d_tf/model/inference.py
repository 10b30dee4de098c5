"""From the heads' outputs to instances: scores of every pair, suppression, the best valid action.

Classes are what the actor head tells apart: the actors, or with cartesian labels the valid pairs.
"""

import numpy as np
import tensorflow as tf

from a2d_tf.ops import boxes as box_ops


def class_of_pair(labels, label_mode):
    """Class index of each valid pair: int32 [P]."""
    return np.arange(len(labels.codes)) if label_mode == "cartesian" else labels.pairs[:, 0]


def num_classes(labels, label_mode):
    return len(labels.codes) if label_mode == "cartesian" else len(labels.actors)


def num_action_classes(labels, label_mode, background):
    """Outputs of the action head: |Y| + 1 with background, else |Y|, or |X| |Y| for p(y | x)."""
    count = len(labels.actions)
    return count * len(labels.actors) if label_mode == "hierarchical" else count + background


def score_classes(outputs, rois, valid, size, coder):
    """`class_scores` and `class_boxes` of `score_rois`, by the actor head alone."""
    row = tf.cast(valid, tf.float32)[..., None]
    scores = tf.nn.softmax(outputs["class_logits"])[..., :-1] * row
    return scores, box_ops.clip(coder.decode(outputs["deltas"], rois[:, :, None]), size)


def score_rois(outputs, rois, valid, size, labels, label_mode, coder):
    """Probabilities and boxes of every RoI, for every class, actor, action and pair.

    The joint score is p(actor) p(action), or p(actor) p(action | actor), or the pair's own
    probability; invalid pairs score 0 and nothing is renormalised (paper, section 4).

    Args:
      outputs: dict of class_logits [B, R, C + 1], deltas [B, R, C, 4] and, but for cartesian
        labels, action_logits: [B, R, |Y| + 1], the last one background's, or without background
        [B, R, |Y|]; with hierarchical labels [B, R, |X| |Y|].
      rois: [B, R, 4]; valid: bool [B, R]; size: int [B, 2] of the frames in the canvas.
      coder: a `boxes.BoxCoder`.

    Returns:
      dict of class_scores [B, R, C], class_boxes [B, R, C, 4], boxes [B, R, |X|, 4],
      actor_scores [B, R, |X|], action_scores [B, R, |Y|], joint_scores [B, R, |X|, |Y|] and, with
      cartesian labels, joint_boxes [B, R, |X|, |Y|, 4]. Scores of rows that are not valid are 0.
      With background among the actions action_scores add up to 1 - p(background).
    """
    num_actors, num_actions = len(labels.actors), len(labels.actions)
    count = rois.shape[1] or tf.shape(rois)[1]
    class_scores, class_boxes = score_classes(outputs, rois, valid, size, coder)
    table = {"class_scores": class_scores, "class_boxes": class_boxes}
    if label_mode == "cartesian":
        # Pairs that do not exist read the row of zeros that is padded behind the last class.
        source = np.full(num_actors * num_actions, len(labels.codes))
        cells = labels.pairs[:, 0] * num_actions + labels.pairs[:, 1]
        source[cells] = np.arange(len(labels.codes))
        scores = tf.gather(tf.pad(class_scores, [[0, 0], [0, 0], [0, 1]]), source, axis=2)
        pair_boxes = tf.gather(
            tf.pad(class_boxes, [[0, 0], [0, 0], [0, 1], [0, 0]]), source, axis=2
        )
        joint = tf.reshape(scores, [-1, count, num_actors, num_actions])
        pair_boxes = tf.reshape(pair_boxes, [-1, count, num_actors, num_actions, 4])
        # An actor's box is that of its best pair, a valid one even where all of them score 0.
        best = tf.argmax(joint + tf.constant(labels.valid, tf.float32) * 1e-30, axis=3)
        table.update(
            actor_scores=tf.reduce_sum(joint, axis=3),
            action_scores=tf.reduce_sum(joint, axis=2),
            joint_scores=joint,
            joint_boxes=pair_boxes,
            boxes=tf.gather(pair_boxes, best, batch_dims=3),
        )
        return table
    if label_mode == "hierarchical":
        logits = tf.reshape(outputs["action_logits"], [-1, count, num_actors, num_actions])
        joint = class_scores[..., None] * tf.nn.softmax(logits)
        # Of valid pairs alone: an actor adds nothing to what it cannot do.
        actions = tf.reduce_sum(joint * tf.constant(labels.valid, tf.float32), axis=2)
    else:
        row = tf.cast(valid, tf.float32)[..., None]
        # Background takes its share of the probability: without it, RoIs on background, which
        # training never showed the actions, would win the ranking by p(action).
        actions = tf.nn.softmax(outputs["action_logits"])[..., :num_actions] * row
        joint = class_scores[..., None] * actions[:, :, None, :]
    table.update(
        actor_scores=class_scores,
        action_scores=actions,
        joint_scores=joint * tf.constant(labels.valid, tf.float32),
        boxes=class_boxes,
    )
    return table


def select(
    table, labels, label_mode, score_threshold, nms_threshold, max_detections, action_threshold=0.0
):
    """Instances: the (RoI, class) with p(class) >= threshold that survive a per-class NMS.

    An instance's action is the best valid one of its actor; those of which its p(action) is below
    the action threshold are then dropped.

    Args:
      table: what `score_rois` returned.

    Returns:
      dict of boxes [B, N, 4], class [B, N] int32, class_score [B, N], actor, action, code (int32
      [B, N], the code's 1-based digits, 0 in unused rows), score [B, N] (joint), actor_scores
      [B, N, |X|], action_scores [B, N, |Y|], num_detections int32 [B]. Best first by class score.
    """
    kept, roi = suppress(
        table["class_scores"], table["class_boxes"], score_threshold, nms_threshold, max_detections
    )
    names = ("actor_scores", "action_scores", "joint_scores")
    rows = {name: tf.gather(table[name], roi, batch_dims=1) for name in names}
    return describe(kept, rows, labels, label_mode, action_threshold)


def suppress(scores, boxes, score_threshold, nms_threshold, max_detections):
    """The first half of `select`, which needs no action.

    Args:
      scores, boxes: what `score_classes` returned.

    Returns:
      (dict of its boxes, class, class_score and num_detections, the RoI of each int32 [B, N]).
    """
    count, classes = scores.shape[1], scores.shape[2]
    kept = min(count * classes, 10 * max_detections)
    flat, index = tf.math.top_k(tf.reshape(scores, [-1, count * classes]), kept)
    boxes = tf.gather(tf.reshape(boxes, [-1, count * classes, 4]), index, batch_dims=1)
    roi, which = index // classes, index % classes
    # The op wants more than a threshold, here it is enough to reach it. A score of 0 is none.
    below = float(np.nextafter(np.float32(score_threshold), np.float32(0)))
    # Classes are moved apart, so that one suppression serves them all.
    apart = tf.cast(which, tf.float32)[..., None] * (tf.reduce_max(boxes) + 1.0)

    # A frame at a time: the op that takes a batch, combined_non_max_suppression, does not say which
    # boxes it kept, and has no GPU kernel.
    def suppress(arguments):
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
        suppress, (boxes + apart, flat), fn_output_signature=(tf.int32, tf.int32)
    )
    chosen = tf.ensure_shape(chosen, [None, max_detections])
    used = tf.sequence_mask(number, max_detections)

    def pick(values):
        picked = tf.gather(values, chosen, batch_dims=1)
        mask = tf.reshape(used, [-1, max_detections] + [1] * (picked.shape.rank - 2))
        return tf.where(mask, picked, tf.zeros_like(picked))

    kept = {
        "boxes": pick(boxes),
        "class": pick(which),
        "class_score": pick(flat),
        "num_detections": number,
    }
    return kept, pick(roi)


def describe(kept, rows, labels, label_mode, action_threshold=0.0):
    """The second half of `select`: who the instances are, and what they do.

    Args:
      kept: what `suppress` returned.
      rows: dict of the instances' own actor_scores, action_scores and joint_scores.
    """
    detections, which = dict(kept), kept["class"]
    used = tf.sequence_mask(kept["num_detections"], which.shape[1])
    for name in ("actor_scores", "action_scores"):
        detections[name] = tf.where(used[..., None], rows[name], 0.0)
    if label_mode == "cartesian":
        actor = tf.gather(tf.constant(labels.pairs[:, 0], tf.int32), which)
        action = tf.gather(tf.constant(labels.pairs[:, 1], tf.int32), which)
        score = detections["class_score"]
    else:
        actor = which
        own = tf.gather(rows["joint_scores"], actor, batch_dims=2)
        # Underflow may leave every action at 0: an invalid one must still lose.
        valid = tf.gather(tf.constant(labels.valid, tf.float32), actor)
        action = tf.argmax(own + valid * 1e-30, axis=2, output_type=tf.int32)
        score = tf.reduce_max(own, axis=2)
    detections.update(
        actor=tf.where(used, actor + 1, 0),
        action=tf.where(used, action + 1, 0),
        code=tf.where(used, labels.encode(actor, action), 0),
        score=tf.where(used, score, 0.0),
    )
    if action_threshold:
        own = tf.gather(detections["action_scores"], action, batch_dims=2)
        return _only(used & (own >= action_threshold), detections)
    return detections


def _only(wanted, detections):
    """The rows wanted, bool [B, N], in the same order and moved to the front; the others are 0."""
    order = tf.argsort(tf.cast(~wanted, tf.int32), axis=1, stable=True)
    number = tf.reduce_sum(tf.cast(wanted, tf.int32), axis=1)
    used = tf.sequence_mask(number, wanted.shape[1])

    def move(values):
        values = tf.gather(values, order, batch_dims=1)
        mask = tf.reshape(used, [-1, wanted.shape[1]] + [1] * (values.shape.rank - 2))
        return tf.where(mask, values, tf.zeros_like(values))

    rows = {name: move(x) for name, x in detections.items() if name != "num_detections"}
    return {**rows, "num_detections": number}


def own_masks(logits, classes):
    """Each instance's mask, of its own class: [B, N, m, m, C], [B, N] -> sigmoid [B, N, m, m]."""
    logits = tf.gather(tf.transpose(logits, [0, 1, 4, 2, 3]), classes, batch_dims=2)
    return tf.sigmoid(logits)


def of_instances(function, number, *rows):
    """A function of the rows that are in use, yet never of none; zero in the others.

    Args:
      function: of tensors [B, n, ...]; returns [B, n, ...].
      number: int32 [B], rows in use, the first ones.
      rows: [B, N, ...] each.

    Returns:
      [B, N, ...]; rows that only other frames of the batch use are not zero.
    """
    most, count = rows[0].shape[1], tf.maximum(tf.reduce_max(number), 1)
    values = function(*(x[:, :count] for x in rows))
    shape = values.shape[2:]
    values = tf.pad(values, [[0, 0], [0, most - count]] + [[0, 0]] * len(shape))
    return tf.ensure_shape(values, [None, most, *shape])
