"""held_out.csv: how well a model tells each behaviour in videos that were held out.

It is a table of a library; held out means annotated, but not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from a2d_tf.core.counts import BehaviourCounts, by_name
from a2d_tf.runs.held_out_scores import HeldOutScores

TABLE = "held_out.csv"
"""The name of the table in the folder of a library."""
COLUMNS = (
    "behaviour",
    "unit",
    "annotated",
    "videos",
    "right",
    "predicted",
    "recall",
    "precision",
    "f1",
    "taken_for",
    "right_before",
    "predicted_before",
    "annotated_in_folds",
    "videos_in_folds",
    "right_in_folds",
    "predicted_in_folds",
    "unsure_below",
)
"""The names of the columns.

`right_before` and `predicted_before` are counts of the model from which this one goes
on; the columns `_in_folds` are those of its cross-validation.
"""


def rows(held_out: HeldOutScores) -> list[Sequence[Any]]:
    """Return the rows of the table, the header first, then one for each behaviour.

    Args:
      held_out: scores of the model in videos that were held out.

    Returns:
      rows with a value for each of `COLUMNS`; None for a value that is unknown.
    """
    before = by_name(held_out.before or ())
    in_folds = {}
    if held_out.folds:
        in_folds = by_name(held_out.folds.tracks.behaviours)
    result: list[Sequence[Any]] = [COLUMNS]
    for behaviour in held_out.scores.behaviours:
        counts = behaviour.counts
        taken_for = behaviour.taken_for or {}
        result.append(
            [
                behaviour.name,
                held_out.scores.unit,
                counts.annotated,
                behaviour.videos,
                counts.right,
                counts.predicted,
                percent(counts.recall),
                percent(counts.precision),
                percent(counts.f1),
                "; ".join(f"{name} {taken_for[name]}" for name in taken_for),
                *_cells_of_before(before.get(behaviour.name)),
                *_cells_of_folds(in_folds.get(behaviour.name)),
                held_out.unsure_below,
            ]
        )
    return result


def percent(value: float | None) -> float | None:
    """Round a percentage to one decimal, as pages show it; None stays None."""
    return None if value is None else round(value, 1)


def _cells_of_before(behaviour: BehaviourCounts | None) -> list[float | None]:
    """Return the cells of the round before, empty if it lacks the behaviour."""
    if behaviour is None:
        return [None, None]
    return [behaviour.counts.right, behaviour.counts.predicted]


def _cells_of_folds(behaviour: BehaviourCounts | None) -> list[float | None]:
    """Return the cells of a cross-validation, empty if it lacks the behaviour."""
    if behaviour is None:
        return [None] * 4
    counts = behaviour.counts
    return [counts.annotated, behaviour.videos, counts.right, counts.predicted]
