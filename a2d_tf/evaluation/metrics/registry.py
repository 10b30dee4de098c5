"""The list of all metrics, and loops over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from a2d_tf.evaluation.metrics.behaviours import Behaviours
from a2d_tf.evaluation.metrics.box_f1 import BoxF1
from a2d_tf.evaluation.metrics.coco import Coco
from a2d_tf.evaluation.metrics.detection import Detection
from a2d_tf.evaluation.metrics.metric import Metric, SplitData
from a2d_tf.evaluation.metrics.over_time import OverTime
from a2d_tf.evaluation.metrics.segmentation import Segmentation
from a2d_tf.evaluation.metrics.true_boxes import TrueBoxes
from a2d_tf.evaluation.metrics.zero_shot import ZeroShot

METRICS: tuple[type[Metric], ...] = (
    Segmentation,
    Detection,
    Behaviours,  # has the figures of both
    BoxF1,  # if Segmentation has none
    ZeroShot,  # averages those of Detection
    Coco,
    OverTime,
    TrueBoxes,  # its note compares it with Detection or Behaviours
)
"""In this order results are computed, each from those before it, and printed."""


def computable(need: str) -> list[type[Metric]]:
    """Return the metrics that can be computed from one kind of data.

    Args:
      need: the kind of data: "pixels" of label maps, "instances" or "tracks" of frames,
        or "rois" or "results" (instances) of the whole split.
    """
    return [metric for metric in METRICS if need in metric.needs]


def figures_at(
    metrics: Sequence[Metric], thresholds: Sequence[float]
) -> dict[float, float]:
    """Return the figure by which a validation chooses, at each threshold.

    Args:
      metrics: metrics that have seen all frames, in the order of METRICS.
      thresholds: values of p(actor) below which an instance does not count.

    Returns:
      {threshold: percent}, what `Metric.at` returns for the first metric that has a
      figure at each threshold, such as the joint mIoU.

    Raises:
      LookupError: no metric has them.
    """
    for metric in metrics:
        figures: dict[float, float] = {}
        for threshold in thresholds:
            figure = metric.at(threshold)
            if figure is not None:
                figures[threshold] = figure
        if len(figures) == len(thresholds):
            return figures
    raise LookupError("no metric has a figure for each threshold")


def results(metrics: Iterable[Metric], split: SplitData) -> dict:
    """Compute the contents of `metrics.json` for a split.

    Args:
      metrics: the metrics in the order of METRICS; each has seen all frames.
      split: the data of all these frames.
    """
    scores: dict = {}
    for metric in metrics:
        earlier = {key: scores[key] for key in metric.reads if key in scores}
        scores.update(metric.result(split, earlier))
    return scores
