"""The RoIs of key frames with their scores, and the instances found among them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from a2d_tf.model.network import Network
from a2d_tf.model.postprocessing.suppression import ClassDetections
from a2d_tf.model.postprocessing.used_rows import apply_to_used, gather_rows
from a2d_tf.model.structures import HeadInputs, RoiTable


class ProposedRois(NamedTuple):
    """The proposed RoIs, with the scores and boxes that the actor head gives them.

    Attributes:
      head_inputs: features of the key frames and outputs of the RoI heads.
      rois: [B, R, 4].
      valid: bool [B, R].
      scores: [B, R, C], of the actor head's classes.
      boxes: [B, R, C, 4], of the actor head's classes.
      size: int32 [B, 2], height and width of the frames inside the canvas.
      rgb: uint8 [B, T, H, W, 3], the clips; None if no head reads them.
    """

    head_inputs: HeadInputs
    rois: tf.Tensor
    valid: tf.Tensor
    scores: tf.Tensor
    boxes: tf.Tensor
    size: tf.Tensor
    rgb: tf.Tensor | None


class LabelledRois(NamedTuple):
    """The instances found among RoIs, and the RoIs that are reported.

    Attributes:
      detections: the instances.
      table: scores and boxes of the instances, [B, N, ...].
      reported: [B, R, 4], the reported RoIs.
      valid: bool [B, R], which of them are RoIs.
      reported_table: scores and boxes of the reported RoIs, [B, R, ...]; None if it was
        not asked for.
    """

    detections: ClassDetections
    table: RoiTable
    reported: tf.Tensor
    valid: tf.Tensor
    reported_table: RoiTable | None


def run_action_head(
    network: Network, proposed: ProposedRois, detections: ClassDetections
) -> tf.Tensor:
    """Run the action head on the RoIs of detections alone: [B, N, num_actions]."""

    def action_logits(rois: tf.Tensor) -> tf.Tensor:
        features = proposed.head_inputs.features
        head_inputs = network.run_roi_heads(features, rois, proposed.rgb)
        return head_inputs.roi_outputs["action_logits"]

    rois = gather_rows(proposed.rois, detections.roi)
    return apply_to_used(action_logits, detections.number, rois, on_gpu=network.on_gpu)
