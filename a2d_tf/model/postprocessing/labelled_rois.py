"""The RoIs of key frames with their scores, and the instances found among them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from a2d_tf.model.network import Network
from a2d_tf.model.postprocessing.suppression import ClassDetections
from a2d_tf.model.postprocessing.used_rows import apply_to_used, gather_rows
from a2d_tf.model.structures import HeadInputs, RoiTable


class ProposedRois(NamedTuple):
    """The R proposed RoIs of B frames, with what the actor head says of them.

    Boxes are (y1, x1, y2, x2) in pixels of the padded canvas.

    Attributes:
      head_inputs: features of the key frames and outputs of the RoI heads.
      rois: float32 [B, R, 4].
      valid: bool [B, R], which rows are RoIs; the others are padding.
      scores: float32 [B, R, C], p(class) of the actor head's C classes, without
        background.
      boxes: float32 [B, R, C, 4], the box of each class, clipped to the frame.
      size: int32 [B, 2], height and width in pixels of the frames inside the padded
        canvas.
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
    """The instances found among the RoIs of B frames, and the RoIs that are reported.

    Boxes are (y1, x1, y2, x2) in pixels of the padded canvas.

    Attributes:
      detections: the N boxes of each frame that suppression keeps.
      table: scores and boxes of the detections, with a row for each, [B, N, ...].
      reported: float32 [B, R, 4], the reported RoIs: all proposals or, with a readout,
        the boxes that suppression keeps.
      valid: bool [B, R], which of the reported rows are RoIs; the others are padding.
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
    """Run the action head on the RoIs of detections alone.

    Args:
      network: a network with an action head.
      proposed: the RoIs.
      detections: the N boxes of each frame that suppression keeps; their `roi` says
        which RoIs they come from. The features are those of the RoIs, not of the
        regressed boxes.

    Returns:
      the head's logits float32 [B, N, num_actions].
    """

    def action_logits(rois: tf.Tensor) -> tf.Tensor:
        features = proposed.head_inputs.features
        head_inputs = network.run_roi_heads(features, rois, proposed.rgb)
        return head_inputs.roi_outputs["action_logits"]

    rois = gather_rows(proposed.rois, detections.roi)
    return apply_to_used(action_logits, detections.number, rois, on_gpu=network.on_gpu)
