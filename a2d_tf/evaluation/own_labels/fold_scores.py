"""Cross-validation: scores of folds, parts of the videos that are left out in turn.

A fold is left out of a training or a fit, and then predicted by it.
"""

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
"""The file with the scores of the folds."""
MEAN = "mean"
"""The name of the mean over behaviours, and of the mean over folds."""
ALL = "all"
"""The name of all folds together, whose counts are added up."""
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
    """The percentages of some `Counts`, or means of such percentages.

    Attributes:
      precision: the percentage of the predicted ones that are right; None if nothing is
        predicted.
      recall: the percentage of the annotated ones that are predicted; None if nothing
        is annotated.
      f1: the harmonic mean of both in percent; None if there is neither.
    """

    precision: float | None
    recall: float | None
    f1: float | None


class FoldScores(NamedTuple):
    """The scores of one fold.

    Attributes:
      name: the name of the fold.
      videos: the number of its videos.
      counts: {behaviour: its annotated, predicted and right objects, or seconds}.
    """

    name: str
    videos: int
    counts: Mapping[str, Counts]

    @classmethod
    def of_objects(cls, name: str, objects: ObjectScores) -> FoldScores:
        """Make the scores of a fold from the objects that are found in its videos.

        Args:
          name: the name of the fold.
          objects: the annotated objects of its videos, and which are found.
        """
        counts = {pair.name: pair.counts for pair in objects.pairs.values()}
        return cls(name, len(objects.videos), counts)

    def figures(self) -> dict[str, Figures]:
        """Return the figures of the behaviours that the fold shows, and their means.

        Returns:
          {name of a behaviour: its percentages}, and as "mean" their means over the
          behaviours.
        """
        figures = {}
        for behaviour, counts in self.counts.items():
            if counts.annotated:
                figures[behaviour] = Figures(counts.precision, counts.recall, counts.f1)
        figures[MEAN] = mean_figures(list(figures.values()))
        return figures


def mean_figures(figures: Iterable[Figures]) -> Figures:
    """Average each percentage over the figures that have it; None if none has.

    Args:
      figures: the figures of behaviours, or of folds.
    """
    means = []
    for values in zip(*figures):
        known = [value for value in values if value is not None]
        means.append(statistics.fmean(known) if known else None)
    return Figures(*means) if means else Figures(None, None, None)


def together(folds: Sequence[FoldScores]) -> FoldScores:
    """Add up the counts and the numbers of videos of all folds.

    Returns:
      the sums, as the scores of one fold with the name "all".
    """
    totals: dict[str, Counts] = {}
    for fold in folds:
        for behaviour, counts in fold.counts.items():
            totals[behaviour] = totals.get(behaviour, Counts()) + counts
    return FoldScores(ALL, sum(fold.videos for fold in folds), totals)


def means(folds: Sequence[FoldScores]) -> dict[str, Figures]:
    """Average the figures of each behaviour over the folds that show it.

    Returns:
      {name of a behaviour: means of its percentages}; likewise as "mean" the means of
      each fold's mean over behaviours.
    """
    of_folds = [fold.figures() for fold in folds]
    figures = {}
    for behaviour in together(folds).figures():
        shown = [of_fold[behaviour] for of_fold in of_folds if behaviour in of_fold]
        figures[behaviour] = mean_figures(shown)
    return figures


def write(folder: str | os.PathLike, folds: Sequence[FoldScores]) -> None:
    """Write `cross_validation.csv`: a row for each behaviour of each fold.

    Rows of all folds together and of the mean over the folds follow.

    Args:
      folder: the folder for the file.
      folds: the scores of each fold.
    """
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
    """Make a table of F1: a row for each behaviour, a column for each fold.

    Columns of the mean over the folds and of all folds together follow.

    Args:
      folds: the scores of each fold.
      unit: what was counted, in the plural, such as "objects" or "seconds".
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
