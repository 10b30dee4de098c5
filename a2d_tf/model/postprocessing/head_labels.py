"""Instances whose labels come from the actor head and the action head."""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.core.settings.config import InferenceConfig
from a2d_tf.model.label_modes import RoiPredictions
from a2d_tf.model.network import Network
from a2d_tf.model.postprocessing.labelled_rois import (
    LabelledRois,
    ProposedRois,
    run_action_head,
)
from a2d_tf.model.postprocessing.suppression import suppress
from a2d_tf.model.postprocessing.used_rows import gather_rows


def label_by_heads(
    network: Network, proposed: ProposedRois, settings: InferenceConfig, every_roi: bool
) -> LabelledRois:
    """Suppress the RoIs class by class, and label the rest by actor and action head.

    Args:
      network: the network.
      proposed: the RoIs with scores and boxes of the actor head.
      settings: thresholds and numbers of suppression.
      every_roi: whether all RoIs get labels, and the result a table of them; else the
        action head runs only on those that suppression keeps.

    Returns:
      the instances with their scores; the RoIs to report are all proposals.
    """
    mode = network.label_mode
    detections = suppress(proposed.scores, proposed.boxes, settings)
    if every_roi:
        predictions = RoiPredictions(
            proposed.scores,
            proposed.boxes,
            proposed.head_inputs.roi_outputs.get("action_logits"),
            proposed.valid,
        )
        roi_table = mode.score_pairs(predictions)
        table = roi_table.gather(detections.roi)
        return LabelledRois(detections, table, proposed.rois, proposed.valid, roi_table)
    action_logits = None
    if network.action is not None:
        action_logits = run_action_head(network, proposed, detections)
    predictions = RoiPredictions(
        gather_rows(proposed.scores, detections.roi),
        gather_rows(proposed.boxes, detections.roi),
        action_logits,
        tf.sequence_mask(detections.number, settings.max_detections),
    )
    table = mode.score_pairs(predictions)
    return LabelledRois(
        detections, table, proposed.rois, proposed.valid, reported_table=None
    )
