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
    """N boxes per frame for the readout to label, and what the heads say of them.

    Attributes:
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      used: bool [B, N], which rows hold a box.
      foreground: float32 [B, N], 1 - p(background) of the actor head; 0 in rows that
        are not used.
      actor_scores: float32 [B, N, |X|], p(actor) of the actor head.
      action_logits: float32 [B, N, num_actions], logits of the action head. A
        background among the actions keeps its share of the probability.
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

    The readout labels boxes by a linear classifier on features of public weights. An
    object has one box, suppressed before it has a label; the boxes that overlap it vote
    on its position (`vote`).

    Args:
      network: a network with a readout.
      proposed: the RoIs with scores and boxes of the actor head.
      settings: thresholds and numbers of suppression; instances with p(actor) below
        `score_threshold` are dropped.
      every_roi: whether the action head has run on all RoIs already; else it runs on
        those that are kept.

    Returns:
      the instances with their scores; the RoIs to report are only those that
      suppression keeps, since others get no labels.
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

    q are the probabilities of the readout, which knows no background; the heads tell
    how probable background is.

    Args:
      network: a network with a readout.
      features: features of the key frames; the readout's logits and motion maps are
        read.
      unlabelled: the boxes and what the heads say of them.
      size: int32 [B, 2], height and width in pixels of the frames inside the padded
        canvas.

    Returns:
      the table with a row for each box, [B, N, ...].
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
