"""A table and a picture of how well each behaviour is found, beside `metrics.json`."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.files import write_bytes, write_csv
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics.behaviour_counts import Counts

OBJECTS = "objects.json"
"""In a folder of scores: what tracks find, of `a2d score objects`."""
TABLE = "behaviours.csv"
PICTURE = "confusion.png"
NONE = "(none)"
"""Name of the row of what is not there, and of the column of what is not found."""

_COLUMNS = (
    "behaviour",
    "frames",
    "instances",
    "found",
    "findings",
    "precision",
    "recall",
    "f1",
)


class ConfusionMatrix(NamedTuple):
    """How many instances of each pair are taken for which.

    Attributes:
      names: of the pairs that are annotated or predicted, and `NONE`.
      counts: int64 [n, n], a row for what is true, a column for what is predicted.
        Those of a row add up to the true instances of the pair, those of a column to
        the predicted ones.
    """

    names: list[str]
    counts: np.ndarray

    @classmethod
    def of_metrics(cls, metrics: dict[str, Any], labels: LabelSpace) -> ConfusionMatrix:
        """Read the matrix from the counts and mistakes of a user's own labels."""
        names: list[str] = []
        index_of: dict[int, int] = {}
        found = []
        for code in labels.codes:
            row = metrics["behaviours"][labels.name(code)]
            if row["instances"] or row["findings"]:
                index_of[code] = len(names)
                names.append(row["name"])
                found.append(row["found"])
        index_of[0] = len(names)
        counts = np.diag([*found, 0])
        for mistakes in metrics["mistakes"].values():
            for true_code, code in mistakes:
                counts[index_of[true_code], index_of[code]] += 1
        return cls([*names, NONE], counts)


def write(
    folder: str | os.PathLike, metrics: dict[str, Any], labels: LabelSpace
) -> None:
    """Write the table and the picture into a folder of scores.

    Args:
      metrics: as in `metrics.json`, with "behaviours".
    """
    from a2d_tf.evaluation.reports import charts  # Matplotlib loads for a second

    rows: list[list[Any]] = [[*_COLUMNS]]
    for code in labels.codes:
        row = metrics["behaviours"][labels.name(code)]
        counts = Counts.of(row)
        f1 = None
        if counts.annotated or counts.predicted:
            f1 = round(100 * counts.f1(), 3)
        rows.append(
            [
                row["name"],
                row["frames"],
                *counts,
                _percent(counts.right, counts.predicted),
                _percent(counts.right, counts.annotated),
                f1,
            ]
        )
    write_csv(os.path.join(folder, TABLE), rows)
    matrix = ConfusionMatrix.of_metrics(metrics, labels)
    picture = charts.confusion(
        matrix.counts,
        matrix.names,
        title="Instances",
        columns="found",
        rows="annotated",
    )
    write_bytes(os.path.join(folder, PICTURE), picture)


def _percent(part: float, whole: float) -> float | None:
    return round(100 * part / whole, 3) if whole else None
