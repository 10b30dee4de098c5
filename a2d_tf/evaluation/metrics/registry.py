"""The registry of metrics: every subclass of `Metric` in a module of this folder."""

from __future__ import annotations

import functools
import importlib
import pathlib
import pkgutil
from collections.abc import Iterable, Sequence

from a2d_tf.evaluation.metrics.metric import Metric, Split


@functools.cache
def registered(*available: str) -> tuple[type[Metric], ...]:
    """Return the metrics that can be computed, in the order of `position`.

    Args:
      *available: what there is of the needs; without any, all metrics are returned.
    """
    for module in pkgutil.iter_modules([str(pathlib.Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
    metrics = sorted(
        Metric.__subclasses__(), key=lambda metric: (metric.position, metric.section)
    )
    if available:
        metrics = [metric for metric in metrics if set(available) & set(metric.needs)]
    return tuple(metrics)


def choose(
    metrics: Sequence[Metric], thresholds: Sequence[float]
) -> tuple[float, float]:
    """Choose a threshold, and the figure by which the best weights are kept.

    Returns:
      (threshold, percent): the best `Metric.at` of the first metric that has one.
    """
    for metric in metrics:
        figures: dict[float, float] = {}
        for threshold in thresholds:
            figure = metric.at(threshold)
            if figure is not None:
                figures[threshold] = figure
        if len(figures) == len(thresholds):
            best = max(figures, key=figures.__getitem__)
            return best, figures[best]
    raise LookupError("no metric has a figure for each threshold")


def results(metrics: Iterable[Metric], split: Split) -> dict:
    """Return the contents of `metrics.json`: the results of the metrics of a split.

    Args:
      metrics: in the order of `position`; each has seen all frames.
      split: the data of these frames.
    """
    scores: dict = {}
    for metric in metrics:
        scores.update(metric.result(split, earlier=scores))
    return scores
