"""Scores of a run, or of the results of any method: `a2d_tf.metrics`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from a2d_tf.core.errors import join_names
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics import segmentation
from a2d_tf.evaluation.metrics.detection import voc_aps
from a2d_tf.evaluation.metrics.summaries import table

if TYPE_CHECKING:
    from a2d_tf.runs.loading import Run

logger = logging.getLogger(__name__)

__all__ = ["Detections", "Truth", "detections", "evaluate", "label_maps", "table"]

# Their names in docs/api.md.
Detections = ScoredRois
detections = voc_aps


def label_maps(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], labels: LabelSpace = A2D
) -> dict[str, dict[str, float]]:
    """Compute the segmentation metrics of the paper's Table 1.

    Args:
      pairs: (true, predicted) label maps of each frame, integer codes [H, W].

    Returns:
      {"actor" | "action" | "joint": {"ave", "glo", "miou"}}, percent; see
      `Confusion.metrics`.

    Raises:
      InputError: no frames, or maps that are no codes of this label space or differ in
        size.
    """
    confusion = segmentation.Confusion(labels)
    for truth, predicted in pairs:
        confusion.update(truth, predicted)
    return confusion.metrics()


def evaluate(
    run: Run | str | os.PathLike[str],
    records: Manifest | str | os.PathLike[str],
    split: str = "test",
    *,
    output: str | None = None,
    true_boxes: bool = False,
) -> dict[str, Any]:
    """Score a run on a split of the records.

    Args:
      run: its folder, or what was loaded from it.
      records: their folder, or their manifest.
      split: "train" (without the validation videos), "val" or "test".
      output: folder for metrics, detections and label maps, replaced as a whole; by
        default `evaluation/<split>` in the run folder. A loaded run needs one.
      true_boxes: whether also the labels in the annotated boxes are scored.

    Returns:
      the contents of `metrics.json`; `table` prints them.

    Raises:
      InputError: no run or records there, records of another kind or without a label
        of the run, an empty split, or something else than scores at `output`.
    """
    # Late: these load TensorFlow.
    from a2d_tf.evaluation.evaluator import Evaluator
    from a2d_tf.runs import loading, scores

    if not isinstance(run, loading.Run):
        output = output or str(scores.folder_of(run, split))
        run = loading.load(os.path.normpath(run))
    if not output:
        raise TypeError("of a loaded run, evaluate() needs an output")
    manifest = records if isinstance(records, Manifest) else Manifest.load(records)
    run.check_records(manifest)
    notes = {}
    unknown = run.network.labels.unknown_in(manifest.label_space)
    if unknown:
        notes["unknown_labels"] = unknown
        logger.warning(
            "%s: the run does not know %s: all of these are missed",
            manifest.directory,
            join_names(unknown),
        )
    if split == "test":
        trained_on = sorted(run.trained_on & manifest.videos(split))
        if trained_on:
            notes["trained_on"] = trained_on
            logger.warning(
                "%s: the run was trained on %d of the test videos (%s): their scores do"
                " not reflect new videos; metrics.json lists them as 'trained_on'",
                manifest.directory,
                len(trained_on),
                ", ".join(trained_on[:3]),
            )
    evaluator = Evaluator(run.network, run.config, manifest)
    threshold = run.config.inference.score_threshold
    origin = scores.origin(run.checkpoint, run.config, manifest.source)
    return evaluator.evaluate(
        split, threshold, output, notes, origin, true_boxes=true_boxes
    )
