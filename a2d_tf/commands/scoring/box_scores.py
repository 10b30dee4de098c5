"""Score boxes against COCO JSON of the ground truth."""

from __future__ import annotations

from typing import Any

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes import instance_tables, scored_rois
from a2d_tf.evaluation.metrics import registry
from a2d_tf.evaluation.metrics.metric import RESULTS, ROIS, SplitData


def score_results(
    truth: str, predicted: str, label_space: LabelSpace
) -> dict[str, Any]:
    """Score predicted boxes in COCO's results format against the ground truth.

    Args:
      truth: the path of a COCO JSON with the true boxes.
      predicted: the path of the JSON with the results.
      label_space: the actors and actions.

    Returns:
      the scores in percent, as in the `metrics.json` of a2d evaluate.

    Raises:
      InputError: a file cannot be used.
    """
    true_boxes = instance_tables.Truth.load(truth, label_space)
    results = instance_tables.Results.load(predicted, true_boxes, label_space)
    split = SplitData(truth=true_boxes, results=results)
    metrics = [metric(label_space) for metric in registry.computable(RESULTS)]
    return registry.results(metrics, split)


def score_detections(
    truth: str,
    predicted: str,
    label_space: LabelSpace,
    *,
    zero_shot_actor: str = "",
    full: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Score `detections.npz` against COCO JSON of the ground truth.

    Args:
      truth: the path of a COCO JSON with the true boxes.
      predicted: the path of `detections.npz` of a2d evaluate.
      label_space: the actors and actions.
      zero_shot_actor: the actor whose action labels the model was not trained with;
        '' if it was trained with all.
      full: the path of `detections.npz` of the model that was trained with all labels,
        for the ratio of the two (Eq. 3); None computes no ratio.
      seed: the random seed of the guessed actions to compare with.

    Returns:
      the scores in percent, as in the `metrics.json` of a2d evaluate.

    Raises:
      InputError: a file or an option cannot be used.
    """
    split = SplitData(
        truth=instance_tables.Truth.load(truth, label_space),
        rois=scored_rois.ScoredRois.load(predicted),
        zero_shot_actor=zero_shot_actor,
        seed=seed,
        full=scored_rois.ScoredRois.load(full) if full else None,
    )
    metrics = [metric(label_space) for metric in registry.computable(ROIS)]
    return registry.results(metrics, split)
