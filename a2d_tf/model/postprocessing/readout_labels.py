"""Instances whose labels come from the readout."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model.label_modes import RoiPredictions
from a2d_tf.model.network import Network
from a2d_tf.model.postprocessing.labelled_rois import (
    LabelledRois,
    ProposedRois,
    run_action_head,
)
from a2d_tf.model.postprocessing.suppression import ClassDetections, suppress, vote
from a2d_tf.model.postprocessing.used_rows import gather_rows, gather_used
from a2d_tf.model.structures import Features, RoiTable


class UnlabelledBoxes(NamedTuple):
    """Boxes that the readout labels, and the predictions of the heads for them.

    Attributes:
      boxes: [B, N, 4].
      used: bool [B, N].
      foreground: 1 - p(background), [B, N]; 0 in rows that are not used.
      actor_scores: [B, N, |X|].
      action_logits: [B, N, num_actions]. A background among the actions keeps its
        share of the probability.
    """

    boxes: tf.Tensor
    used: tf.Tensor
    foreground: tf.Tensor
    actor_scores: tf.Tensor
    action_logits: tf.Tensor


def label_by_readout(
    network: Network, proposed: ProposedRois, settings: InferenceConfig, every_roi: bool
) -> LabelledRois:
    """Suppress the RoIs whatever their class, and label the rest by the readout.

    An object has one box, suppressed before it has a label. RoIs that are suppressed
    get no labels, so only those that are kept are reported.

    Args:
      every_roi: whether the action head has run on all RoIs already.
    """
    foreground = tf.reduce_sum(proposed.scores, axis=2)
    best_boxes = tf.gather(
        proposed.boxes, tf.argmax(proposed.scores, axis=2), batch_dims=2
    )
    objects = suppress(foreground[..., None], best_boxes[:, :, None], settings)
    objects = objects._replace(boxes=vote(objects.boxes, best_boxes, foreground))
    if every_roi:
        roi_outputs = proposed.head_inputs.roi_outputs
        action_logits = gather_rows(roi_outputs["action_logits"], objects.roi)
    else:
        action_logits = run_action_head(network, proposed, objects)
    used = tf.sequence_mask(objects.number, settings.max_detections)
    unlabelled = UnlabelledBoxes(
        objects.boxes,
        used,
        foreground=objects.class_scores,
        actor_scores=gather_rows(proposed.scores, objects.roi),
        action_logits=action_logits,
    )
    features = proposed.head_inputs.features
    table = score_by_readout(network, features, unlabelled, proposed.size)

    # The likeliest actor of each, best first.
    scores = tf.reduce_max(table.class_scores, axis=2)
    actors = tf.argmax(table.class_scores, axis=2, output_type=tf.int32)
    order = tf.argsort(-scores, axis=1, stable=True)
    enough = (scores >= settings.score_threshold) & used
    number = tf.reduce_sum(tf.cast(enough, tf.int32), axis=1)
    detections = ClassDetections(
        number,
        boxes=gather_used(objects.boxes, order, number),
        classes=gather_used(actors, order, number),
        class_scores=gather_used(scores, order, number),
        roi=gather_used(objects.roi, order, number),
    )
    table = table.gather(order)
    boxes = table.boxes[:, :, 0]  # the same for each actor
    return LabelledRois(
        detections, table, reported=boxes, valid=used, reported_table=table
    )


def score_by_readout(
    network: Network, features: Features, unlabelled: UnlabelledBoxes, size: tf.Tensor
) -> RoiTable:
    """Score actors, actions and pairs of boxes: p(x) = (1 - p(background)) q(x).

    Args:
      size: int32 [B, 2], height and width of the frames inside the canvas.
    """
    assert network.readout is not None
    count = len(network.labels.actions)
    head_actions = unlabelled.action_logits[..., :count]
    background = unlabelled.action_logits[..., count:]
    log_q_actor, log_q_action = network.readout.decode(
        features.readout_logits,
        unlabelled.boxes,
        actor_scores=unlabelled.actor_scores,
        action_logits=head_actions,
        inside=size,
        motion=features.motion,
    )
    actions = tf.reduce_logsumexp(head_actions, axis=2, keepdims=True) + log_q_action
    scores = (
        unlabelled.foreground[..., None]
        * tf.exp(log_q_actor)
        * tf.cast(unlabelled.used, tf.float32)[..., None]
    )
    boxes = tf.repeat(unlabelled.boxes[:, :, None], scores.shape[2], axis=2)
    action_logits = tf.concat([actions, background], axis=2)
    return network.label_mode.score_pairs(
        RoiPredictions(scores, boxes, action_logits, unlabelled.used)
    )
