"""From the features of key frames to instances (paper, section 4).

Proposals, scores and boxes of classes, NMS per class, the best valid action, then what
is computed of instances alone, such as masks. One way for evaluation, which wants every
RoI, and for video, where the action head runs on the instances only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import InferenceConfig
from a2d_tf.model.label_modes import LabelMode
from a2d_tf.model.network import Network
from a2d_tf.model.structures import BatchDetections, Features, RoiTable
from a2d_tf.ops import boxes as box_ops

_CANDIDATES = 10  # for each detection
_ROWS = 8  # on a GPU, numbers of rows are multiples of it


class Inference(NamedTuple):
    """The answer for a batch of key frames, in pixels of the canvas.

    Attributes:
      rois: [B, R, 4]; valid: bool [B, R].
      table: of every RoI, if it was asked for; with a readout, of those that
        suppression kept.
      detections: the instances.
    """

    rois: tf.Tensor
    valid: tf.Tensor
    table: RoiTable | None
    detections: BatchDetections


class Kept(NamedTuple):
    """What suppression keeps of a frame, best first, of which `number` [B] rows are
    used.

    Attributes:
      boxes: [B, N, 4]; classes: int32 [B, N]; class_scores: [B, N].
      roi: int32 [B, N], the RoI of each.
    """

    number: tf.Tensor
    boxes: tf.Tensor
    classes: tf.Tensor
    class_scores: tf.Tensor
    roi: tf.Tensor


def infer(
    network: Network, clip: Mapping[str, tf.Tensor], settings: InferenceConfig
) -> Inference:
    """Infer the instances of clips, and the scores of every RoI. To be called in a
    graph.

    Args:
      clip: {rgb uint8 [B, T, H, W, 3], flow [B, T, H, W, 2], size int32 [B, 2]}; `size`
        is the frames' height and width inside the canvas.
      settings: a negative score_threshold counts as 0.
    """
    features = network.clip_features(clip)
    return infer_key_frames(
        network, features, clip["size"], settings, clip["rgb"], every_roi=True
    )


def infer_key_frames(
    network: Network,
    features: Features,
    size: tf.Tensor,
    settings: InferenceConfig,
    rgb: tf.Tensor | None = None,
    *,
    every_roi: bool = False,
) -> Inference:
    """Infer the instances of key frames from their features. To be called in a
    tf.function.

    Args:
      features: of `Network.clip_features`, or of `Network.fuse`.
      size: int32 [B, 2]; settings: as for `infer`.
      rgb: uint8 [B, T, H, W, 3], the frames around, where `Network.needs_image`.
      every_roi: whether the table of all RoIs is wanted; else the action head runs on
        the instances rather than on every RoI, with the same result in less time.
    """
    counts = settings.proposals_before_nms, settings.test_proposals
    rois, valid = network.proposals.decode(features, size, *counts)
    # Graphs leave out what nothing reads, such as the actions of every RoI.
    seen = network.run_roi_heads(features, rois, rgb)
    scores, boxes = network.actor.decode(seen, rois, valid, size)
    mode, table = network.label_mode, None
    if network.readout is None:
        kept = suppress(scores, boxes, settings)
    else:
        # Suppressed before they have a label: an object has one box.
        best = tf.gather(boxes, tf.argmax(scores, axis=2), batch_dims=2)
        sure = tf.reduce_sum(scores, axis=2)
        kept = suppress(sure[..., None], best[:, :, None], settings)
        kept = kept._replace(boxes=vote(kept.boxes, best, sure))
    used = tf.sequence_mask(kept.number, settings.max_detections)
    logits = None
    if network.action is not None:
        logits = _action_logits(network, seen, rois, rgb, kept, every_roi)
    if network.readout is not None:
        assert logits is not None
        own_scores, threshold = _rows_of(scores, kept.roi), settings.score_threshold
        kept, own = _read_labels(network, features, kept, own_scores, logits, threshold)
        # What was suppressed has no labels of its own.
        table, rois, valid = own, own.boxes[:, :, 0], used
    elif every_roi:
        table = mode.table(scores, boxes, seen.outputs.get("action_logits"), valid)
        own = RoiTable(*(None if x is None else _rows_of(x, kept.roi) for x in table))
    else:
        own = mode.table(
            _rows_of(scores, kept.roi), _rows_of(boxes, kept.roi), logits, used
        )
    detections = assign_pairs(mode, kept, own, settings.action_threshold)
    used_rows = detections.number, detections.boxes, detections.classes
    more = {
        head.name: _apply_to_used_rows(
            network, functools.partial(head.decode, seen), *used_rows
        )
        for head in network.instance_heads
    }
    return Inference(rois, valid, table, detections._replace(more=more))


def _action_logits(network, seen, rois, rgb, kept, every_roi):
    """Return the action head's logits for what suppression kept, of `seen` or run on
    it alone.
    """
    if every_roi:
        return _rows_of(seen.outputs["action_logits"], kept.roi)

    def run(rois: tf.Tensor) -> tf.Tensor:
        return network.run_roi_heads(seen.features, rois, rgb).outputs["action_logits"]

    return _apply_to_used_rows(network, run, kept.number, _rows_of(rois, kept.roi))


def _read_labels(network, features, kept, actor_scores, action_logits, threshold):
    """Label what suppression kept by the readout: p(x) = (1 - p(background)) q(x).

    Args:
      kept: with 1 - p(background) as scores.
      actor_scores, action_logits: the heads' own, [B, N, ...]. The background among the
        actions keeps its share.
      threshold: least p(actor).

    Returns:
      (`kept` with the likeliest actor, best first; the table of all that was kept, in
      that order).
    """
    count = len(network.labels.actions)
    used = tf.sequence_mask(kept.number, kept.classes.shape[1])
    own, background = action_logits[..., :count], action_logits[..., count:]
    q_actor, q_action = network.readout.decode(
        features.labels, kept.boxes, actor_scores, own
    )
    actions = tf.reduce_logsumexp(own, axis=2, keepdims=True) + q_action
    scores = (
        kept.class_scores[..., None]
        * tf.exp(q_actor)
        * tf.cast(used, tf.float32)[..., None]
    )
    boxes = tf.repeat(kept.boxes[:, :, None], scores.shape[2], axis=2)
    table = network.label_mode.table(
        scores, boxes, tf.concat([actions, background], axis=2), used
    )
    best = tf.reduce_max(scores, axis=2)
    order = tf.argsort(-best, axis=1, stable=True)
    number = tf.reduce_sum(tf.cast((best >= threshold) & used, tf.int32), axis=1)
    rows = kept.boxes, tf.argmax(scores, axis=2, output_type=tf.int32), best, kept.roi
    kept = Kept(number, *(_used_rows(x, order, number) for x in rows))
    return kept, RoiTable(*(None if x is None else _rows_of(x, order) for x in table))


def vote(kept: tf.Tensor, boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Average, by their scores, the boxes that agree with each kept one, of IoU 0.5 or
    more.

    Regression that few videos have taught errs differently from each RoI. Box voting:
    Gidaris and Komodakis, "Object detection via a multi-region & semantic
    segmentation-aware CNN model", 2015.

    Args:
      kept: [B, N, 4]; boxes: [B, R, 4]; scores: [B, R].
    """
    weight = tf.where(box_ops.iou(kept, boxes) >= 0.5, scores[:, None], 0.0)
    total = tf.reduce_sum(weight, axis=2, keepdims=True)
    return tf.where(total > 0, tf.math.divide_no_nan(weight @ boxes, total), kept)


def _rows_of(values, index):
    return tf.gather(values, index, batch_dims=1)


def suppress(scores: tf.Tensor, boxes: tf.Tensor, settings: InferenceConfig) -> Kept:
    """Keep the (RoI, class) with p(class) >= threshold that survive the NMS within
    their class.

    Args:
      scores, boxes: of classes, [B, R, C], [B, R, C, 4].
      settings: score_threshold, least p(class), where a negative one counts as 0, and a
        score of 0 is never kept; nms_threshold, boxes whose IoU with a better one of
        their class is higher are suppressed; max_detections: N, kept at most, of the
        best _CANDIDATES times as many.
    """
    max_detections, threshold = (
        settings.max_detections,
        max(settings.score_threshold, 0.0),
    )
    count, classes = scores.shape[1], scores.shape[2]
    candidates = min(count * classes, _CANDIDATES * max_detections)
    flat, index = tf.math.top_k(tf.reshape(scores, [-1, count * classes]), candidates)
    boxes = tf.gather(tf.reshape(boxes, [-1, count * classes, 4]), index, batch_dims=1)
    roi, which = index // classes, index % classes
    # The op's threshold is exclusive, ours inclusive.
    below = float(np.nextafter(np.float32(threshold), np.float32(0)))
    # Move classes apart, so that one suppression serves them all.
    apart = tf.cast(which, tf.float32)[..., None] * (tf.reduce_max(boxes) + 1.0)

    options: dict = {"max_output_size": max_detections, "pad_to_max_output_size": True}
    options |= {"iou_threshold": settings.nms_threshold, "score_threshold": below}

    # One frame at a time: combined_non_max_suppression, the batched op, does not tell
    # which boxes it kept and has no GPU kernel.
    def suppress_frame(frame: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        return tuple(
            tf.raw_ops.NonMaxSuppressionV4(boxes=frame[0], scores=frame[1], **options)
        )

    chosen, number = tf.map_fn(
        suppress_frame, (boxes + apart, flat), fn_output_signature=(tf.int32, tf.int32)
    )
    chosen = tf.ensure_shape(chosen, [None, max_detections])
    rows = (_used_rows(x, chosen, number) for x in (boxes, which, flat, roi))
    return Kept(number, *rows)


def assign_pairs(
    mode: LabelMode, kept: Kept, table: RoiTable, action_threshold: float
) -> BatchDetections:
    """Assign actor, action and code to what suppression kept.

    An instance's action is the best valid one of its actor; instances whose p(action)
    is below the threshold are then dropped, unless it is 0.

    Args:
      table: of the instances' RoIs, [B, N, ...].
    """
    used = tf.sequence_mask(kept.number, kept.classes.shape[1])
    actor, action, score = mode.pairs_of(kept.classes, table)
    found = BatchDetections(
        number=kept.number,
        boxes=kept.boxes,
        classes=kept.classes,
        class_scores=kept.class_scores,
        actor=tf.where(used, actor + 1, 0),
        action=tf.where(used, action + 1, 0),
        code=tf.where(used, mode.labels.encode(actor, action), 0),
        score=tf.where(used, score, 0.0),
        actor_scores=tf.where(used[..., None], table.actor_scores, 0.0),
        action_scores=tf.where(used[..., None], table.action_scores, 0.0),
        more={},
    )
    if not action_threshold:
        return found
    probability = tf.gather(found.action_scores, action, batch_dims=2)
    keep = used & (probability >= action_threshold)
    order = tf.argsort(tf.cast(~keep, tf.int32), axis=1, stable=True)
    number = tf.reduce_sum(tf.cast(keep, tf.int32), axis=1)
    return found.map_rows(lambda x: _used_rows(x, order, number))._replace(
        number=number
    )


def _used_rows(values, index, number):
    """Gather rows [B, M, ...] by index [B, N]; those from `number` [B] on are zero."""
    used = tf.sequence_mask(number, index.shape[1])
    values = tf.gather(values, index, batch_dims=1)
    mask = tf.reshape(used, [-1, index.shape[1]] + [1] * (values.shape.rank - 2))
    return tf.where(mask, values, tf.zeros_like(values))


def _apply_to_used_rows(network, function: Callable[..., tf.Tensor], number, *rows):
    """Apply `function` to the used rows (at least one) and zero-pad the rest.

    Args:
      function: of tensors [B, n, ...]; returns [B, n, ...].
      number: int32 [B], number of used rows, which come first.
      rows: [B, N, ...] each.

    Returns:
      [B, N, ...]; rows used only in other frames of the batch are not zero.
    """
    most, count = rows[0].shape[1], tf.maximum(tf.reduce_max(number), 1)
    if network.on_gpu:
        # cuDNN chooses an algorithm anew for each number of rows, which takes dozens of
        # calls.
        count = tf.minimum(-(-count // _ROWS) * _ROWS, most)
    values = function(*(x[:, :count] for x in rows))
    shape = values.shape[2:]
    values = tf.pad(values, [[0, 0], [0, most - count]] + [[0, 0]] * len(shape))
    return tf.ensure_shape(values, [None, most, *shape])
