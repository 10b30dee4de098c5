"""From the features of key frames to instances (paper, section 4).

Proposals, scores and boxes of classes, NMS per class, the best valid action, then what
is computed of instances alone, such as masks. One way for evaluation, which wants every
RoI, and for video, where the action head runs on the instances only. Boxes that are
given, such as annotated ones, get labels and masks only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model.label_modes import LabelMode, RoiScores
from a2d_tf.model.network import Network
from a2d_tf.model.structures import BatchInstances, Features, RoiTable, Seen
from a2d_tf.model.suppression import Kept, gather_rows, gather_used, suppress, vote

_ROWS = 8  # on a GPU, numbers of rows are multiples of it


class Inference(NamedTuple):
    """The answer for a batch of key frames, in pixels of the canvas.

    Attributes:
      rois: [B, R, 4], every RoI; with a readout, the boxes that suppression kept.
      valid: bool [B, R].
      table: of `rois`; without a readout only if it was asked for.
      detections: the instances.
    """

    rois: tf.Tensor
    valid: tf.Tensor
    table: RoiTable | None
    detections: BatchInstances


def infer(
    network: Network, clip: Mapping[str, tf.Tensor], settings: InferenceConfig
) -> Inference:
    """Infer the instances of clips, and the scores of every RoI. Call it in a graph.

    Args:
      clip: {rgb uint8 [B, T, H, W, 3], flow [B, T, H, W, 2], size int32 [B, 2]}; `size`
        is the frames' height and width inside the canvas. Also what
        `Network.motion_features` reads.
      settings: a negative score_threshold counts as 0.
    """
    features = features_of(network, clip)
    return infer_key_frames(
        network, features, clip["size"], settings, clip["rgb"], every_roi=True
    )


def features_of(network: Network, clip: Mapping[str, tf.Tensor]) -> Features:
    """Return the features of clips, those of motion too.

    Args:
      clip: as of `infer`.
    """
    features = network.clip_features(clip)
    return features._replace(motion=network.motion_features(clip))


def infer_key_frames(
    network: Network,
    features: Features,
    size: tf.Tensor,
    settings: InferenceConfig,
    rgb: tf.Tensor | None = None,
    *,
    every_roi: bool = False,
) -> Inference:
    """Infer the instances of key frames from their features. Call it in a tf.function.

    Args:
      features: of `Network.clip_features`, or of `Network.fuse`; with `motion` if the
        network reads motion maps.
      size: int32 [B, 2], as for `infer`.
      settings: as for `infer`.
      rgb: uint8 [B, T, H, W, 3], the frames around, if `Network.needs_image`.
      every_roi: whether the table of all RoIs is wanted; else the action head runs on
        the instances rather than on every RoI, with the same result in less time.
    """
    rois, valid = network.proposals.decode(
        features, size, settings.proposals_before_nms, settings.test_proposals
    )
    # Graphs leave out what nothing reads, such as the actions of every RoI.
    seen = network.run_roi_heads(features, rois, rgb)
    scores, boxes = network.actor.decode(seen, rois, valid, size)
    scored = _ScoredRois(seen, rois, valid, scores, boxes, size, rgb)
    if network.readout is None:
        instances = _instances_of_heads(network, scored, settings, every_roi)
    else:
        instances = _instances_of_readout(network, scored, settings, every_roi)

    detections = assign_pairs(
        network.label_mode, instances.kept, instances.table, settings.action_threshold
    )
    results = {}
    for name, head in network.instance_heads.items():
        results[name] = _apply_to_used_rows(
            functools.partial(head.decode, seen),
            detections.number,
            detections.boxes,
            detections.classes,
            on_gpu=network.on_gpu,
        )
    return Inference(
        instances.rois,
        instances.valid,
        instances.roi_table,
        detections._replace(more=results),
    )


def infer_boxes(
    network: Network,
    features: Features,
    boxes: tf.Tensor,
    number: tf.Tensor,
    size: tf.Tensor,
    rgb: tf.Tensor | None = None,
) -> Inference:
    """Label boxes of key frames that are given. Call it in a tf.function.

    Each is an instance: nothing is proposed, moved, suppressed or left out, and rows
    keep their order. Background has no share in p(actor) and p(action).

    Args:
      features: as for `infer_key_frames`.
      boxes: [B, N, 4], in pixels of the canvas; N is at least 1.
      number: int32 [B], rows in use, the first ones.
      size, rgb: as for `infer_key_frames`.

    Returns:
      an `Inference` whose RoIs are the boxes, and with the same rows as instances.
    """
    mode = network.label_mode
    used = tf.sequence_mask(number, tf.shape(boxes)[1])
    boxes = tf.where(used[..., None], boxes, 0.0)
    seen = network.run_roi_heads(features, boxes, rgb)
    scores = network.actor.scores_of_instances(seen, used)
    action_logits = None
    if network.action is not None:
        action_logits = mode.without_background(seen.outputs["action_logits"])
    if network.readout is None:
        class_boxes = tf.repeat(boxes[:, :, None], mode.num_classes, axis=2)
        table = mode.table(RoiScores(scores, class_boxes, action_logits, used))
    else:
        rows = _HeadRows(
            boxes,
            used,
            foreground=tf.cast(used, tf.float32),
            actor_scores=scores,
            action_logits=action_logits,
        )
        table = _read_table(network, features, rows, size)

    instances = Kept(
        number,
        boxes=boxes,
        classes=tf.argmax(table.class_scores, axis=2, output_type=tf.int32),
        class_scores=tf.reduce_max(table.class_scores, axis=2),
        roi=tf.ones_like(used, tf.int32) * tf.range(tf.shape(boxes)[1]),
    )
    detections = assign_pairs(mode, instances, table, action_threshold=0.0)
    results = {}
    for name, head in network.instance_heads.items():
        results[name] = head.decode(seen, boxes, detections.classes)
    return Inference(boxes, used, table, detections._replace(more=results))


class _ScoredRois(NamedTuple):
    """What the heads say of every RoI.

    Attributes:
      rois: [B, R, 4]; valid: bool [B, R].
      scores, boxes: of the actor head's classes, [B, R, C], [B, R, C, 4].
      size, rgb: see `infer_key_frames`.
    """

    seen: Seen
    rois: tf.Tensor
    valid: tf.Tensor
    scores: tf.Tensor
    boxes: tf.Tensor
    size: tf.Tensor
    rgb: tf.Tensor | None


class _Instances(NamedTuple):
    """The instances, and the RoIs that `Inference` reports.

    Attributes:
      kept: the instances, before they have pairs.
      table: their scores and boxes, [B, N, ...].
      rois, valid, roi_table: see `Inference`.
    """

    kept: Kept
    table: RoiTable
    rois: tf.Tensor
    valid: tf.Tensor
    roi_table: RoiTable | None


class _HeadRows(NamedTuple):
    """Boxes to be labelled by the readout, and what the heads say of them.

    Attributes:
      boxes: [B, N, 4].
      used: bool [B, N].
      foreground: 1 - p(background), [B, N]; 0 in rows that are not used.
      actor_scores: [B, N, |X|].
      action_logits: [B, N, num_actions]. A background among the actions keeps its
        share.
    """

    boxes: tf.Tensor
    used: tf.Tensor
    foreground: tf.Tensor
    actor_scores: tf.Tensor
    action_logits: tf.Tensor


def assign_pairs(
    mode: LabelMode, kept: Kept, table: RoiTable, action_threshold: float
) -> BatchInstances:
    """Assign actor, action and code to what suppression kept.

    An instance's action is the best valid one of its actor; instances whose p(action)
    is below the threshold are then dropped, unless it is 0.

    Args:
      table: of the instances' RoIs, [B, N, ...].
    """
    count = kept.classes.shape[1] or tf.shape(kept.classes)[1]
    used = tf.sequence_mask(kept.number, count)
    pairs = mode.pairs_of(kept.classes, table)
    detections = BatchInstances(
        number=kept.number,
        boxes=kept.boxes,
        classes=kept.classes,
        class_scores=kept.class_scores,
        actor=tf.where(used, pairs.actor + 1, 0),
        action=tf.where(used, pairs.action + 1, 0),
        code=tf.where(used, mode.labels.encode(pairs.actor, pairs.action), 0),
        score=tf.where(used, pairs.score, 0.0),
        actor_scores=tf.where(used[..., None], table.actor_scores, 0.0),
        action_scores=tf.where(used[..., None], table.action_scores, 0.0),
        more={},
    )
    if not action_threshold:
        return detections
    probability = tf.gather(detections.action_scores, pairs.action, batch_dims=2)
    keep = used & (probability >= action_threshold)
    order = tf.argsort(tf.cast(~keep, tf.int32), axis=1, stable=True)
    number = tf.reduce_sum(tf.cast(keep, tf.int32), axis=1)
    remaining = detections.map_rows(lambda values: gather_used(values, order, number))
    return remaining._replace(number=number)


def _instances_of_heads(
    network: Network, scored: _ScoredRois, settings: InferenceConfig, every_roi: bool
) -> _Instances:
    """Suppress by class, and label by actor and action head."""
    mode = network.label_mode
    kept = suppress(scored.scores, scored.boxes, settings)
    if every_roi:
        roi_scores = RoiScores(
            scored.scores,
            scored.boxes,
            scored.seen.outputs.get("action_logits"),
            scored.valid,
        )
        roi_table = mode.table(roi_scores)
        table = roi_table.rows(kept.roi)
        return _Instances(kept, table, scored.rois, scored.valid, roi_table)
    action_logits = None
    if network.action is not None:
        action_logits = _run_action_head(network, scored, kept)
    kept_scores = RoiScores(
        gather_rows(scored.scores, kept.roi),
        gather_rows(scored.boxes, kept.roi),
        action_logits,
        tf.sequence_mask(kept.number, settings.max_detections),
    )
    table = mode.table(kept_scores)
    return _Instances(kept, table, scored.rois, scored.valid, roi_table=None)


def _instances_of_readout(
    network: Network, scored: _ScoredRois, settings: InferenceConfig, every_roi: bool
) -> _Instances:
    """Suppress RoIs whatever their class, and label those that remain by the readout.

    An object has one box, suppressed before it has a label. What was suppressed has no
    labels, so that only RoIs that were kept are reported.
    """
    foreground = tf.reduce_sum(scored.scores, axis=2)
    best_boxes = tf.gather(scored.boxes, tf.argmax(scored.scores, axis=2), batch_dims=2)
    kept = suppress(foreground[..., None], best_boxes[:, :, None], settings)
    kept = kept._replace(boxes=vote(kept.boxes, best_boxes, foreground))
    if every_roi:
        action_logits = gather_rows(scored.seen.outputs["action_logits"], kept.roi)
    else:
        action_logits = _run_action_head(network, scored, kept)
    used = tf.sequence_mask(kept.number, settings.max_detections)
    rows = _HeadRows(
        kept.boxes,
        used,
        foreground=kept.class_scores,
        actor_scores=gather_rows(scored.scores, kept.roi),
        action_logits=action_logits,
    )
    table = _read_table(network, scored.seen.features, rows, scored.size)

    # The likeliest actor of each, best first.
    scores = tf.reduce_max(table.class_scores, axis=2)
    actors = tf.argmax(table.class_scores, axis=2, output_type=tf.int32)
    order = tf.argsort(-scores, axis=1, stable=True)
    enough = (scores >= settings.score_threshold) & used
    number = tf.reduce_sum(tf.cast(enough, tf.int32), axis=1)
    labelled = Kept(
        number,
        boxes=gather_used(kept.boxes, order, number),
        classes=gather_used(actors, order, number),
        class_scores=gather_used(scores, order, number),
        roi=gather_used(kept.roi, order, number),
    )
    table = table.rows(order)
    boxes = table.boxes[:, :, 0]  # the same for each actor
    return _Instances(labelled, table, rois=boxes, valid=used, roi_table=table)


def _run_action_head(network: Network, scored: _ScoredRois, kept: Kept) -> tf.Tensor:
    """Run the action head on what suppression kept alone, [B, N, num_actions]."""

    def run(rois: tf.Tensor) -> tf.Tensor:
        seen = network.run_roi_heads(scored.seen.features, rois, scored.rgb)
        return seen.outputs["action_logits"]

    kept_rois = gather_rows(scored.rois, kept.roi)
    return _apply_to_used_rows(run, kept.number, kept_rois, on_gpu=network.on_gpu)


def _read_table(
    network: Network, features: Features, rows: _HeadRows, size: tf.Tensor
) -> RoiTable:
    """Label boxes by the readout: p(x) = (1 - p(background)) q(x)."""
    assert network.readout is not None
    count = len(network.labels.actions)
    head_actions = rows.action_logits[..., :count]
    background = rows.action_logits[..., count:]
    log_q_actor, log_q_action = network.readout.decode(
        features.readout_logits,
        rows.boxes,
        actor_scores=rows.actor_scores,
        action_logits=head_actions,
        inside=size,
        motion=features.motion,
    )
    actions = tf.reduce_logsumexp(head_actions, axis=2, keepdims=True) + log_q_action
    scores = (
        rows.foreground[..., None]
        * tf.exp(log_q_actor)
        * tf.cast(rows.used, tf.float32)[..., None]
    )
    boxes = tf.repeat(rows.boxes[:, :, None], scores.shape[2], axis=2)
    action_logits = tf.concat([actions, background], axis=2)
    return network.label_mode.table(RoiScores(scores, boxes, action_logits, rows.used))


def _apply_to_used_rows(
    function: Callable[..., tf.Tensor],
    number: tf.Tensor,
    *rows: tf.Tensor,
    on_gpu: bool,
) -> tf.Tensor:
    """Apply a function to the used rows (at least one), and pad the rest with zeros.

    Args:
      function: of tensors [B, n, ...]; returns [B, n, ...].
      number: int32 [B], number of used rows, which come first.
      rows: tensors of [B, N, ...].

    Returns:
      [B, N, ...]; rows used only in other frames of the batch are not zero.
    """
    most = rows[0].shape[1]
    count = tf.maximum(tf.reduce_max(number), 1)
    if on_gpu:
        # Few different numbers: cuDNN chooses an algorithm for each of them.
        count = tf.minimum(-(-count // _ROWS) * _ROWS, most)
    values = function(*(tensor[:, :count] for tensor in rows))
    shape = values.shape[2:]
    no_padding = [[0, 0] for _ in shape]
    values = tf.pad(values, [[0, 0], [0, most - count], *no_padding])
    return tf.ensure_shape(values, [None, most, *shape])
