"""Precision at IoU and mean IoU of masks, as papers on A2D-Sentences report them.

There a sentence asks for one instance, and the one mask that answers it is scored. Here the pair of
actor and action asks.

Source: Gavrilyuk et al., "Actor and Action Video Segmentation from a Sentence", CVPR 2018; strict
comparison as in Botach et al., "End-to-End Referring Video Object Segmentation with Multimodal
Transformers", CVPR 2022.
"""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.evaluation import coco_results
from a2d_tf.evaluation.box_data import Truth
from a2d_tf.evaluation.coco_results import Results

LEVELS = {"p50": 0.5, "p60": 0.6, "p70": 0.7, "p80": 0.8, "p90": 0.9}


def metrics_of(results: Results, truth: Truth) -> dict[str, float]:
    """Score the best mask of the pair of each true instance.

    It is that of the highest score among the predicted instances of the same frame and pair, the
    first of equal ones; without any, all is missed. Two instances of one pair in a frame are
    answered by the same mask.

    Args:
      results: of this truth's frames.
      truth: the true instances.

    Returns:
      {"p50", "p60", "p70", "p80", "p90"}: percent of the true instances whose IoU is above .5, ...;
      "mean_iou": the mean of their IoUs; "overall_iou": the sum of the intersections over the sum
      of the unions, so that large instances weigh more; in percent. Empty without masks on both
      sides, or without truth.
    """
    if truth.masks is None or results.masks is None or not truth.masks:
        return {}
    best: dict[tuple[int, int], int] = {}
    for i in np.argsort(-results.scores, kind="stable").tolist():
        best.setdefault((int(results.roi_frame[i]), int(results.codes[i])), i)
    overlaps, unions = np.zeros((2, len(truth.masks)), np.int64)
    for i, mask in enumerate(truth.masks):
        unions[i] = coco_results.area(mask)
        chosen = best.get((int(truth.box_frame[i]), int(truth.codes[i])))
        if chosen is not None:
            answer = results.masks[chosen]
            overlaps[i] = rle_tools.area(rle_tools.merge([mask, answer], intersect=True))
            unions[i] += coco_results.area(answer) - overlaps[i]
    iou = np.divide(overlaps, unions, out=np.zeros(len(unions)), where=unions > 0)
    return {
        **{name: 100 * float((iou > level).mean()) for name, level in LEVELS.items()},
        "overall_iou": 100 * float(overlaps.sum() / max(unions.sum(), 1)),
        "mean_iou": 100 * float(iou.mean()),
    }
