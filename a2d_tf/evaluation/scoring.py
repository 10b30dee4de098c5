"""Scores of a run, or of the results of any method, as `a2d_tf.metrics` offers them."""

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
      pairs: for each frame the true and the predicted label map, integers [H, W]: the
        code of the actor and action of each pixel, 0 for background.
      labels: the label space of the codes.

    Returns:
      {"actor" | "action" | "joint": {"ave": mean class accuracy, "glo": share of the
      pixels that are right, "miou": mean IoU}}, in percent; `Confusion.metrics` has the
      formulas.

    Raises:
      InputError: there are no frames, or a map does not hold codes of this label space,
        or the two maps of a frame differ in size.
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
    """Score a run on a split of the records, as `a2d evaluate` does.

    `Evaluator.evaluate` lists the files that it writes into `output`. A warning is
    logged if the run does not know a label of the records, or was trained on test
    videos; `metrics.json` lists these as "unknown_labels" and "trained_on".

    Args:
      run: the folder of a training, or the run that was loaded from it.
      records: the folder of the records, or their manifest.
      split: "train" (without the validation videos), "val" or "test".
      output: the folder to write, replaced as a whole; by default `evaluation/<split>`
        in the run folder. A run that was loaded before needs it.
      true_boxes: whether the network also labels the annotated boxes, and these labels
        are scored, too.

    Returns:
      the contents of `metrics.json`; `table` formats them as text.

    Raises:
      InputError: there is no run or there are no records; the records are of another
        kind or lack a label of the run; the split is empty; or something else than
        scores is at `output`.
      TypeError: the run was loaded before, and `output` is missing.
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
