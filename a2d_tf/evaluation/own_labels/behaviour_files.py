"""A table and a picture of how well each pair is found, for a folder of scores.

A pair is an actor with an action, such as mouse-run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.counts import NONE, rounded
from a2d_tf.core.files import write_bytes, write_csv
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.own_labels.object_scores import PairScores

OBJECTS = "objects.json"
"""In a folder of scores: the `ObjectScores` that `a2d score objects` writes."""
TABLE = "behaviours.csv"
"""In a folder of scores: a row of counts and percentages for each pair."""
PICTURE = "confusion.png"
"""In a folder of scores: the confusion matrix of the pairs."""

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
    """How many instances of each pair are taken for each other pair.

    Attributes:
      names: the names of the pairs that are annotated or predicted, and last `NONE`,
        which is the row of wrong predictions and the column of missed objects.
      counts: int64 [n, n], a row for each true pair, a column for each predicted one.
        A row adds up to the true instances of its pair, a column to the predicted
        instances.
    """

    names: list[str]
    counts: np.ndarray

    @classmethod
    def of(
        cls,
        pairs: Mapping[str, PairScores],
        mistakes: Mapping[str, Sequence[Sequence[int]]],
        labels: LabelSpace,
    ) -> ConfusionMatrix:
        """Make the matrix from the scores of the pairs and the mistakes in each frame.

        Args:
          pairs: {name of a pair of an actor and an action: its scores}, of all pairs of
            the label space.
          mistakes: {name of a frame: [(true code, predicted code)]}, the wrong
            predictions and the missed objects; the true code is 0 if no object is
            there, the predicted code if the object is missed.
          labels: the label space of the codes.
        """
        names: list[str] = []
        index_of: dict[int, int] = {}
        right = []
        for code in labels.codes:
            pair = pairs[labels.name(code)]
            if not pair.counts.is_empty:
                index_of[code] = len(names)
                names.append(pair.name)
                right.append(pair.counts.right)
        index_of[0] = len(names)
        counts = np.diag([*right, 0])
        for mistakes_of_frame in mistakes.values():
            for true_code, code in mistakes_of_frame:
                counts[index_of[true_code], index_of[code]] += 1
        return cls([*names, NONE], counts)


def write(
    folder: str | os.PathLike,
    pairs: Mapping[str, PairScores],
    mistakes: Mapping[str, Sequence[Sequence[int]]],
    labels: LabelSpace,
) -> None:
    """Write `behaviours.csv` and `confusion.png` into a folder of scores.

    Args:
      folder: the folder of scores.
      pairs: {name of a pair of an actor and an action: its scores}, of all pairs of the
        label space.
      mistakes: {name of a frame: [(true code, predicted code)]}, the wrong predictions
        and the missed objects; the true code is 0 if no object is there, the predicted
        code if the object is missed.
      labels: the label space of the codes.
    """
    from a2d_tf.evaluation.reports import charts  # Matplotlib loads for a second

    rows: list[Sequence[Any]] = [_COLUMNS]
    for code in labels.codes:
        pair = pairs[labels.name(code)]
        counts = pair.counts
        rows.append(
            [
                pair.name,
                pair.frames,
                counts.annotated,
                counts.right,
                counts.predicted,
                rounded(counts.precision),
                rounded(counts.recall),
                rounded(counts.f1),
            ]
        )
    write_csv(os.path.join(folder, TABLE), rows)
    matrix = ConfusionMatrix.of(pairs, mistakes, labels)
    picture = charts.confusion(
        matrix.counts,
        matrix.names,
        title="Instances",
        columns="found",
        rows="annotated",
    )
    write_bytes(os.path.join(folder, PICTURE), picture)
