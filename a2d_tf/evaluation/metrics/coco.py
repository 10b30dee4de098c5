"""COCO's average precision of instances, computed by pycocotools.

Categories are the pairs with ground truth. The best 100 instances of a pair in a frame
count.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from a2d_tf.evaluation.boxes.instance_tables import InstanceTable, Results, Truth
from a2d_tf.evaluation.metrics.metric import RESULTS, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table

# Index of each figure among the IoUs .5, .55, ..., .95; "ap" is their mean.
_MATCHES: dict[str, int | slice] = {"ap": slice(None), "ap50": 0, "ap75": 5}
# Index of each figure among the sizes of objects: all, small, medium, large.
# pycocotools divides at 32**2 and 96**2 pixels.
_SIZES = {"ap_small": 1, "ap_medium": 2, "ap_large": 3}
_COLUMNS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "AP small",
    "ap_medium": "AP medium",
    "ap_large": "AP large",
}


class Coco(Metric):
    """COCO's AP of the pairs: of boxes, and of masks if there are any."""

    section = "coco"
    needs = (RESULTS,)

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return {"coco": {"box", "mask": COCO's APs in percent, see `coco_aps`}}."""
        assert split.results is not None
        return {"coco": coco_aps(split.results, split.truth)}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return a table of COCO's APs with a row for boxes and one for masks.

        Args:
          metrics: the content of `metrics.json`; any part may be missing, and without
            COCO's APs there is no table.
        """
        rows = metrics.get("coco")
        if not rows:
            return []
        title = "COCO's AP, mean over the tested pairs, percent"
        return [Table(title, _COLUMNS, rows)]


def coco_aps(results: Results, truth: Truth) -> dict[str, dict[str, float | None]]:
    """Compute COCO's AP of boxes and, if truth and results have masks, of masks.

    The APs are those at IoU .5:.95, .5 and .75, and those at .5:.95 of small, medium
    and large objects alone. As in COCO, the area of a true object is that of its mask,
    if it has one, also for boxes; the area of a detection is that of the box or of the
    mask that is matched. The AP of masks is that of the frames in which all true
    instances have masks.

    Args:
      results: the instances that were found.
      truth: the true instances, on the same frames.

    Returns:
      {"box": {"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"}, "mask":
      {...}} in percent; None if no object is of that size; empty without truth.
    """
    if not len(truth.codes):
        return {}
    codes = np.unique(truth.codes).tolist()
    indexed_truth = _indexed(truth, codes)
    indexed_boxes = _indexed(dataclasses.replace(results, masks=None), codes)
    figures = {"box": _precisions(COCOeval(indexed_truth, indexed_boxes, "bbox"))}
    if truth.masks is None or results.masks is None:
        return figures
    unmasked = np.array([mask is None for mask in truth.masks], bool)
    frames = np.arange(len(truth.frames))
    masked_frames = np.setdiff1d(frames, truth.box_frame[unmasked])
    if np.isin(truth.box_frame, masked_frames).any():
        evaluation = COCOeval(indexed_truth, _indexed(results, codes), "segm")
        evaluation.params.imgIds = (masked_frames + 1).tolist()
        figures["mask"] = _precisions(evaluation)
    return figures


def _indexed(instances: InstanceTable, codes: list[int]) -> COCO:
    """Return instances as pycocotools reads them; ids of frames count from 1."""
    coco = COCO()
    coco.dataset = dataclasses.replace(instances, image_ids=[]).coco()
    coco.dataset["categories"] = [{"id": code} for code in codes]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _precisions(evaluation: Any) -> dict:
    """Run an evaluation of pycocotools once, and return the figures of `coco_aps`."""
    evaluation.params.maxDets = [100]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0]  # [IoU, recall, class, size]
    figures = {}
    for name, iou_index in _MATCHES.items():
        figures[name] = _mean_precision(precision[iou_index][..., 0])
    for name, size_index in _SIZES.items():
        figures[name] = _mean_precision(precision[..., size_index])
    return figures


def _mean_precision(precision: np.ndarray) -> float | None:
    """Return the mean of precisions in percent.

    pycocotools gives -1 for a class without true objects; these do not count. The mean
    is None if there are no others.
    """
    values = precision[precision > -1]
    return 100 * float(values.mean()) if values.size else None
