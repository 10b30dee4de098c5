"""Comparison of rows: means over folds and seeds, differences to the full model.

Differences between two networks have the confidence intervals of a paired bootstrap:
both are scored on the same samples of the videos, so that the difficulty of a sample
cancels.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.paper import bootstrap
from a2d_tf.paper.results import Result
from a2d_tf.paper.table_rows import OUR_ROWS

COMPARED = {
    "segmentation/actor_miou": "actor mIoU",
    "segmentation/action_miou": "action mIoU",
    "segmentation/joint_miou": "joint mIoU",
    "detection/joint_map": "joint mAP",
}
"""The figures that are compared, by their tags of `scalars`: {tag: heading}."""
SAMPLES = 500  # of the bootstrap


class Difference(NamedTuple):
    """A figure of a row of the tables minus the same figure of the full model.

    Attributes:
      points: the difference in percentage points, the mean over folds and seeds.
      low: the lower end of its 95 % confidence interval, by a bootstrap over videos.
      high: the upper end of this interval.
    """

    points: float
    low: float
    high: float


def differences(
    results: list[Result], labels: LabelSpace
) -> dict[str, dict[str, Difference | None]]:
    """Compute the differences of each row to the full model of the same fold and seed.

    For several folds and seeds, the difference and each of its samples are means over
    the runs that have the figure.

    Args:
      results: the results of all rows, folds and seeds. Rows without a full model of
        the same fold and seed are left out.
      labels: the label space of the records.

    Returns:
      {row: {tag of COMPARED: the difference, None without a figure}}.
    """
    full_runs = {(r.fold, r.seed): r for r in results if r.row == "full"}
    samples: dict[Result, dict[str, np.ndarray]] = {}
    rows = {}
    for row in OUR_ROWS:
        runs = [r for r in results if r.row == row and (r.fold, r.seed) in full_runs]
        if row == "full" or not runs:
            continue
        baselines = [full_runs[run.fold, run.seed] for run in runs]
        for run in runs + baselines:
            if run not in samples:
                samples[run] = _sampled_figures(run, labels)
        row_figures = _mean_figures(runs)
        full_figures = _mean_figures(baselines)
        by_tag: dict[str, Difference | None] = {}
        for tag in COMPARED:
            points = row_figures[tag] - full_figures[tag]
            by_tag[tag] = None
            if not np.isnan(points):
                low, high = bootstrap.interval(
                    _mean_samples([samples[run][tag] for run in runs]),
                    _mean_samples([samples[run][tag] for run in baselines]),
                )
                by_tag[tag] = Difference(points, low, high)
        rows[row] = by_tag
    return rows


class Spread(NamedTuple):
    """The mean and the deviation of a figure over the folds and seeds of a row.

    Attributes:
      mean: the mean over the runs that have the figure; None if no run has it.
      deviation: the standard deviation over these runs, with n - 1 in its denominator;
        None for fewer than two runs.
    """

    mean: float | None
    deviation: float | None


def spreads(runs: list[Result], tags: list[str]) -> list[Spread]:
    """Compute the mean and deviation of each figure over the runs of one row.

    Args:
      runs: the results of one row, for its folds and seeds.
      tags: names of figures of `metrics.json`, '<section>/<name>' as in COMPARED.

    Returns:
      a spread for each tag, in their order.
    """
    figures = np.ma.masked_invalid([run.figures(tags) for run in runs])
    means = figures.mean(axis=0).tolist()
    deviations = figures.std(axis=0, ddof=1).tolist()
    return list(map(Spread, means, deviations))


def _mean_figures(runs: Sequence[Result]) -> dict[str, float]:
    """Return the mean of each of COMPARED over runs, {tag: mean}; NaN without any."""
    figures = [run.figures(list(COMPARED)) for run in runs]
    means = np.ma.masked_invalid(figures).mean(axis=0).filled(np.nan)
    return dict(zip(COMPARED, means))


def _mean_samples(of_runs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the means over runs of the samples of a figure, [S]; NaN without any."""
    return np.ma.masked_invalid(of_runs).mean(axis=0).filled(np.nan)


def _sampled_figures(run: Result, labels: LabelSpace) -> dict[str, np.ndarray]:
    """Return COMPARED in each sample of the bootstrap: {tag: float [SAMPLES]}.

    A figure that the run lacks is NaN.
    """
    print(f"bootstrap of {run.where}", flush=True)
    # All rows of a fold get the same samples.
    seed = zlib.crc32(run.fold.encode())
    figures = bootstrap.bootstrap(run.test, labels, SAMPLES, seed)
    by_tag = {}
    for kind, measures in figures["segmentation"].items():
        by_tag[f"segmentation/{kind}_miou"] = measures["miou"]
    for kind, mean_ap in figures["detection"].items():
        by_tag[f"detection/{kind}_map"] = mean_ap
    missing = np.full(SAMPLES, np.nan)
    return {tag: by_tag.get(tag, missing) for tag in COMPARED}
