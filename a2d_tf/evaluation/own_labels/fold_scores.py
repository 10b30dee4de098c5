"""How well each behaviour is told in folds that were left out in turn."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from a2d_tf.core.counts import Counts, rounded
from a2d_tf.core.files import write_csv
from a2d_tf.evaluation.metrics.tables import Table
from a2d_tf.evaluation.own_labels.object_scores import ObjectScores

TABLE = "cross_validation.csv"
MEAN = "mean"
"""Name of the row of all behaviours together, and of the mean over the folds."""
ALL = "all"
"""Name of all folds together, whose counts are added up."""
_COLUMNS = (
    "fold",
    "videos",
    "behaviour",
    "annotated",
    "predicted",
    "right",
    "precision",
    "recall",
    "f1",
)


class Figures(NamedTuple):
    """Percentages of `Counts`, or their means; None where there is none."""

    precision: float | None
    recall: float | None
    f1: float | None


class FoldScores(NamedTuple):
    """The scores of a fold.

    Attributes:
      name: of the fold.
      videos: how many it has.
      counts: {behaviour: its objects or seconds}.
    """

    name: str
    videos: int
    counts: Mapping[str, Counts]

    @classmethod
    def of_objects(cls, name: str, objects: ObjectScores) -> FoldScores:
        """Return the scores of a fold by the objects that are found in its videos."""
        counts = {pair.name: pair.counts for pair in objects.pairs.values()}
        return cls(name, len(objects.videos), counts)

    def figures(self) -> dict[str, Figures]:
        """Return the figures of the behaviours that it shows, and their means."""
        figures = {}
        for behaviour, counts in self.counts.items():
            if counts.annotated:
                figures[behaviour] = Figures(counts.precision, counts.recall, counts.f1)
        figures[MEAN] = mean_figures(list(figures.values()))
        return figures


def mean_figures(figures: Iterable[Figures]) -> Figures:
    """Return the mean of each figure over those that have it."""
    means = []
    for values in zip(*figures):
        known = [value for value in values if value is not None]
        means.append(statistics.fmean(known) if known else None)
    return Figures(*means) if means else Figures(None, None, None)


def together(folds: Sequence[FoldScores]) -> FoldScores:
    """Add up the counts of all folds."""
    totals: dict[str, Counts] = {}
    for fold in folds:
        for behaviour, counts in fold.counts.items():
            totals[behaviour] = totals.get(behaviour, Counts()) + counts
    return FoldScores(ALL, sum(fold.videos for fold in folds), totals)


def means(folds: Sequence[FoldScores]) -> dict[str, Figures]:
    """Return {behaviour: the means of its figures over the folds that show it}."""
    of_folds = [fold.figures() for fold in folds]
    figures = {}
    for behaviour in together(folds).figures():
        shown = [of_fold[behaviour] for of_fold in of_folds if behaviour in of_fold]
        figures[behaviour] = mean_figures(shown)
    return figures


def write(folder: str | os.PathLike, folds: Sequence[FoldScores]) -> None:
    """Write the file: rows of each fold, of their mean, and of all together."""
    rows: list[Sequence[Any]] = [_COLUMNS]
    for fold in (*folds, together(folds)):
        for behaviour, figures in fold.figures().items():
            counts: list[float | None] = [None, None, None]
            if behaviour != MEAN:
                counted = fold.counts[behaviour]
                counts = [
                    rounded(counted.annotated),
                    rounded(counted.predicted),
                    rounded(counted.right),
                ]
            rows.append(
                [fold.name, fold.videos, behaviour, *counts, *map(rounded, figures)]
            )
    for behaviour, figures in means(folds).items():
        rows.append([MEAN, None, behaviour, None, None, None, *map(rounded, figures)])
    write_csv(os.path.join(folder, TABLE), rows)


def table(folds: Sequence[FoldScores], unit: str) -> Table:
    """Return the F1 of each behaviour and fold, with their mean and all together.

    Args:
      unit: what was counted, in the plural.
    """
    columns = {}
    figures_of = {}
    for fold in folds:
        columns[fold.name] = f"fold {fold.name}"
        figures_of[fold.name] = fold.figures()
    columns[MEAN] = MEAN
    figures_of[MEAN] = means(folds)
    columns[ALL] = ALL
    figures_of[ALL] = together(folds).figures()
    rows: dict[str, dict[str, float | None]] = {}
    for behaviour in figures_of[ALL]:
        name = behaviour if behaviour != MEAN else "mean of behaviours"
        rows[name] = {}
        for column, figures in figures_of.items():
            if behaviour in figures:
                rows[name][column] = figures[behaviour].f1
    count = sum(fold.videos for fold in folds)
    return Table(
        title=f"Cross-validation: F1 of {unit}, percent; {count} videos in"
        f" {len(folds)} folds, each left out in turn",
        columns=columns,
        rows=rows,
    )
