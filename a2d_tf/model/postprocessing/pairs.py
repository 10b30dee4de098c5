"""The actor and action of each detection."""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model.label_modes import LabelMode
from a2d_tf.model.postprocessing.suppression import ClassDetections
from a2d_tf.model.postprocessing.used_rows import gather_used
from a2d_tf.model.structures import BatchInstances, RoiTable


def assign_pairs(
    mode: LabelMode,
    detections: ClassDetections,
    table: RoiTable,
    action_threshold: float,
) -> BatchInstances:
    """Assign an actor, an action and the code of the pair to each detection.

    A code is the number of a pair in label maps, 10 * actor + action for A2D. The
    action of an instance is the best valid one of its actor. Instances whose p(action)
    is below the threshold are then dropped, unless the threshold is 0.

    Args:
      mode: the label mode of the network.
      detections: the N boxes of each frame that suppression keeps, with their classes.
      table: scores and boxes of the detections, with a row for each, [B, N, ...].
      action_threshold: the least p(action) of an instance, 0 to 1.

    Returns:
      the instances in the order of the detections, without results of heads such as
      masks.
    """
    count = detections.classes.shape[1] or tf.shape(detections.classes)[1]
    used = tf.sequence_mask(detections.number, count)
    pairs = mode.best_pairs(detections.classes, table)
    instances = BatchInstances(
        number=detections.number,
        boxes=detections.boxes,
        classes=detections.classes,
        class_scores=detections.class_scores,
        actor=tf.where(used, pairs.actor + 1, 0),
        action=tf.where(used, pairs.action + 1, 0),
        code=tf.where(used, mode.labels.encode(pairs.actor, pairs.action), 0),
        score=tf.where(used, pairs.score, 0.0),
        actor_scores=tf.where(used[..., None], table.actor_scores, 0.0),
        action_scores=tf.where(used[..., None], table.action_scores, 0.0),
        head_results={},
    )
    if not action_threshold:
        return instances
    probability = tf.gather(instances.action_scores, pairs.action, batch_dims=2)
    keep = used & (probability >= action_threshold)
    order = tf.argsort(tf.cast(~keep, tf.int32), axis=1, stable=True)
    number = tf.reduce_sum(tf.cast(keep, tf.int32), axis=1)
    remaining = instances.map_rows(lambda values: gather_used(values, order, number))
    return remaining._replace(number=number)
