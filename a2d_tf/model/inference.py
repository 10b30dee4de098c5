"""From the features of key frames to instances (paper, section 4).

The steps are proposals, scores and boxes of their classes, suppression, labels, pairs,
and then what heads compute of instances alone, such as masks. Evaluation, video and the
SavedModel share them: evaluation also wants the labels of every RoI, while for video
the action head runs on instances only. Boxes that are given, such as annotated ones,
get labels and masks only.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model.label_modes import RoiPredictions
from a2d_tf.model.network import Network
from a2d_tf.model.postprocessing.head_labels import label_by_heads
from a2d_tf.model.postprocessing.labelled_rois import ProposedRois
from a2d_tf.model.postprocessing.pairs import assign_pairs
from a2d_tf.model.postprocessing.readout_labels import (
    UnlabelledBoxes,
    label_by_readout,
    score_by_readout,
)
from a2d_tf.model.postprocessing.suppression import ClassDetections
from a2d_tf.model.postprocessing.used_rows import apply_to_used
from a2d_tf.model.structures import BatchInstances, Features, HeadInputs, RoiTable


class Inference(NamedTuple):
    """The answer for a batch of B key frames, boxes in pixels of the padded canvas.

    Boxes are (y1, x1, y2, x2).

    Attributes:
      rois: float32 [B, R, 4], every RoI; with a readout, the boxes that suppression
        kept; from `infer_boxes`, the given boxes.
      valid: bool [B, R], which rows are RoIs; the others are padding.
      table: scores and boxes of `rois`; without a readout None unless asked for.
      detections: the instances that were found, with labels, scores and masks.
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
      network: the network.
      clip: {rgb uint8 [B, T, H, W, 3], flow float32 [B, T, H, W, 2], size int32 [B,
        2]}, T frames with the key frame in the middle; `size` is the frames' height and
        width in pixels inside the padded canvas. If the readout reads motion maps, also
        these, see `Readout.read_motion_maps`.
      settings: numbers of proposals and detections, and thresholds; a negative
        score_threshold counts as 0.

    Returns:
      the answer, with a table of scores for all RoIs or, with a readout, for the boxes
      that suppression kept.
    """
    features = network.extract_features(clip)
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
    """Infer the instances of key frames from their features. Call it in a tf.function.

    Args:
      network: the network.
      features: features of B key frames; with `motion` if the readout reads motion
        maps.
      size: int32 [B, 2], height and width of the frames in pixels inside the padded
        canvas.
      settings: numbers of proposals and detections, and thresholds; a negative
        score_threshold counts as 0.
      rgb: uint8 [B, T, H, W, 3], the clips on the padded canvas, if
        `Network.needs_image`; else None will do.
      every_roi: whether every RoI gets scores of pairs. If not, the action head runs on
        the instances alone; they are the same, in less time, and without a readout the
        answer's table is None.

    Returns:
      the RoIs, their table of scores if there is one, and the instances with labels,
      scores and masks.
    """
    rois, valid = network.proposals.decode(
        features, size, settings.proposals_before_nms, settings.test_proposals
    )
    # Graphs leave out what nothing reads, such as the actions of every RoI.
    head_inputs = network.run_roi_heads(features, rois, rgb)
    scores, boxes = network.actor.decode(head_inputs, rois, valid, size)
    proposed = ProposedRois(head_inputs, rois, valid, scores, boxes, size, rgb)
    if network.readout is None:
        labelled = label_by_heads(network, proposed, settings, every_roi)
    else:
        labelled = label_by_readout(network, proposed, settings, every_roi)
    instances = assign_pairs(
        network.label_mode,
        labelled.detections,
        labelled.table,
        settings.action_threshold,
    )
    head_results = {}
    for name, head in network.instance_heads.items():
        head_results[name] = apply_to_used(
            functools.partial(head.decode, head_inputs),
            instances.number,
            instances.boxes,
            instances.classes,
            on_gpu=network.on_gpu,
        )
    return Inference(
        labelled.reported,
        labelled.valid,
        labelled.reported_table,
        instances._replace(head_results=head_results),
    )


def infer_boxes(
    network: Network,
    features: Features,
    boxes: tf.Tensor,
    number: tf.Tensor,
    size: tf.Tensor,
    rgb: tf.Tensor | None = None,
) -> Inference:
    """Label given boxes of key frames. Call it in a tf.function.

    Each box is an instance: none is proposed, moved, suppressed or dropped, and rows
    keep their order. Background has no share in p(actor) and p(action).

    Args:
      network: the network.
      features: features of B key frames; with `motion` if the readout reads motion
        maps.
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas; N is at
        least 1.
      number: int32 [B], the number of boxes of each frame, which come first among its N
        rows.
      size: int32 [B, 2], height and width of the frames in pixels inside the padded
        canvas.
      rgb: uint8 [B, T, H, W, 3], the clips on the padded canvas, if
        `Network.needs_image`; else None will do.

    Returns:
      an `Inference` whose RoIs are the boxes, with the same rows as instances.
    """
    used = tf.sequence_mask(number, tf.shape(boxes)[1])
    boxes = tf.where(used[..., None], boxes, 0.0)
    head_inputs = network.run_roi_heads(features, boxes, rgb)
    table = _score_boxes(network, head_inputs, boxes, used, size)
    detections = ClassDetections(
        number,
        boxes=boxes,
        classes=tf.argmax(table.class_scores, axis=2, output_type=tf.int32),
        class_scores=tf.reduce_max(table.class_scores, axis=2),
        roi=tf.ones_like(used, tf.int32) * tf.range(tf.shape(boxes)[1]),
    )
    instances = assign_pairs(
        network.label_mode, detections, table, action_threshold=0.0
    )
    head_results = {}
    for name, head in network.instance_heads.items():
        head_results[name] = head.decode(head_inputs, boxes, instances.classes)
    return Inference(boxes, used, table, instances._replace(head_results=head_results))


def _score_boxes(
    network: Network,
    head_inputs: HeadInputs,
    boxes: tf.Tensor,
    used: tf.Tensor,
    size: tf.Tensor,
) -> RoiTable:
    """Score actors, actions and pairs of boxes [B, N, 4] that are instances."""
    mode = network.label_mode
    scores = network.actor.scores_of_instances(head_inputs, used)
    action_logits = None
    if network.action is not None:
        action_logits = mode.without_background(
            head_inputs.roi_outputs["action_logits"]
        )
    if network.readout is None:
        class_boxes = tf.repeat(boxes[:, :, None], mode.num_classes, axis=2)
        return mode.score_pairs(
            RoiPredictions(scores, class_boxes, action_logits, used)
        )
    unlabelled = UnlabelledBoxes(
        boxes,
        used,
        foreground=tf.cast(used, tf.float32),
        actor_scores=scores,
        action_logits=action_logits,
    )
    return score_by_readout(network, head_inputs.features, unlabelled, size)
