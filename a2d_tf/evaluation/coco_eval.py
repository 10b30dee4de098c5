"""COCO's average precision of instances, computed by pycocotools and reported beside the paper's.

Categories are the pairs; those without ground truth do not count. Of a pair's instances in a frame
the best 100 do.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from a2d_tf.evaluation import coco_results

if TYPE_CHECKING:
    from a2d_tf.evaluation.box_data import Truth
    from a2d_tf.evaluation.coco_results import Results

_MATCHES = {"ap": slice(None), "ap50": 0, "ap75": 5}  # of the IoUs .5, .55, ..., .95


def metrics_of(results: Results, truth: Truth) -> dict[str, dict[str, float]]:
    """Compute AP at IoU .5:.95, .5 and .75 of boxes and, where both sides have them, of masks.

    Args:
      results: a `coco_results.Results` of this truth's frames.
      truth: a `box_data.Truth`.

    Returns:
      {"box": {"ap", "ap50", "ap75"}, "mask": {...}} in percent; empty without truth.
    """
    if not len(truth.codes):
        return {}
    kinds = {"box": "bbox"}
    if truth.masks is not None and results.masks is not None:
        kinds["mask"] = "segm"
    true = as_coco(truth, truth, truth.box_frame)
    detected = as_coco(truth, results, results.roi_frame, results.scores)
    return {kind: _precisions(true, detected, name) for kind, name in kinds.items()}


def _precisions(true, detected, kind):
    evaluation = COCOeval(true, detected, kind)
    evaluation.params.maxDets = [100]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # [IoU, ...], -1 for a class without truth
    return {
        name: 100 * float(precision[match][precision[match] > -1].mean())
        for name, match in _MATCHES.items()
    }


def as_coco(
    truth: Truth, items: Truth | Results, frames: np.ndarray, scores: np.ndarray | None = None
) -> COCO:
    """Convert boxes, codes and masks, of frames of the truth, to an object of pycocotools."""
    annotations = coco_results.annotations_of(frames.tolist(), items.boxes, items.codes)
    for name, values in (("segmentation", items.masks), ("score", scores)):
        if values is not None:
            for annotation, value in zip(annotations, values):
                annotation[name] = value
    images = [{"id": i} for i in range(len(truth.frames))]
    for image, (height, width) in zip(images, truth.sizes or ()):
        image.update(height=height, width=width)
    coco = COCO()
    coco.dataset = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": code} for code in np.unique(truth.codes).tolist()],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco
