"""COCO's average precision of instances, computed by pycocotools and reported beside
the paper's.

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

from a2d_tf.evaluation.box_data import InstanceTable, Results, Truth
from a2d_tf.evaluation.metrics import RESULTS, Metric, Table

# Of the IoUs .5, .55, ..., .95.
_MATCHES: dict[str, int | slice] = {"ap": slice(None), "ap50": 0, "ap75": 5}
# pycocotools divides at 32**2 and 96**2 pixels
_SIZES = ("all", "small", "medium", "large")
_COLUMNS = {
    **{name: name.upper() for name in _MATCHES},
    **{f"ap_{size}": f"AP {size}" for size in _SIZES if size != "all"},
}


class Coco(Metric):
    """COCO's AP of the pairs."""

    section, place = "coco", 4
    needs = (RESULTS,)

    def result(self) -> dict:
        """Return {"coco": see `coco_aps`}."""
        return {"coco": coco_aps(self.split.results, self.split.truth)}

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return a table with a row for boxes and one for masks."""
        found = metrics.get("coco")
        title = "COCO's AP, mean over the tested pairs, percent"
        return [Table(title, _COLUMNS, found)] if found else []


def coco_aps(results: Results, truth: Truth) -> dict[str, dict[str, float | None]]:
    """Compute the AP of boxes and, where both sides have them, of masks.

    At IoU .5:.95, .5 and .75; and at .5:.95 of small, medium and large objects alone.
    As COCO has it, the area of a true object is that of its mask, where it has one,
    also for boxes; the area of a detection is that of the box or of the mask that is
    matched. The AP of masks is that of the frames all of whose instances have masks.

    Returns:
      {"box": {"ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"}, "mask":
      {...}} in percent; None where no object is of that size; empty without truth.
    """
    if not len(truth.codes):
        return {}
    categories, figures = [{"id": code} for code in np.unique(truth.codes).tolist()], {}

    def indexed(instances: InstanceTable, **changes: Any) -> COCO:
        coco = COCO()
        # Ids of frames from 1 on.
        coco.dataset = dataclasses.replace(instances, image_ids=[], **changes).coco()
        coco.dataset["categories"] = categories
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
        return coco

    true, boxes = indexed(truth), indexed(results, masks=None)
    figures["box"] = _precisions(COCOeval(true, boxes, "bbox"))
    alone = np.array([mask is None for mask in truth.masks or ()], bool)
    if truth.masks is not None and results.masks is not None and not alone.all():
        masks = COCOeval(true, indexed(results), "segm")
        complete = np.setdiff1d(np.arange(len(truth.frames)), truth.box_frame[alone])
        masks.params.imgIds = (complete + 1).tolist()
        if np.isin(truth.box_frame, complete).any():
            figures["mask"] = _precisions(masks)
    return figures


def _precisions(evaluation):
    """Run an evaluation of pycocotools, and use it up; returns the figures of
    `coco_aps`.
    """
    evaluation.params.maxDets = [100]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0]  # [IoU, recall, class, size]

    def mean(match: int | slice, size: int) -> float | None:
        # -1 for a class without truth.
        values = precision[match][..., size]
        known = values[values > -1]
        return 100 * float(known.mean()) if known.size else None

    figures = {name: mean(match, 0) for name, match in _MATCHES.items()}
    return figures | {
        f"ap_{name}": mean(slice(None), i) for i, name in enumerate(_SIZES) if i
    }
