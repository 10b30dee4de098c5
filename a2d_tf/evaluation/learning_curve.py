"""A learning curve: how well videos left out are told, by the number of coded ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from a2d_tf.core.files import write_bytes, write_csv
from a2d_tf.evaluation.fold_scores import MEAN, FoldScores

TABLE = "learning_curve.csv"
PICTURE = "learning_curve.png"
_LITTLE = 3.0  # points of F1 that chance makes


def write(folder: str | os.PathLike, scores: Mapping[int, FoldScores]) -> None:
    """Write the table and the picture.

    Args:
      scores: {number of coded videos: what fits to so many others tell of all}.
    """
    from a2d_tf.evaluation.reports import charts  # Matplotlib loads for a second

    rows: list[list[Any]] = [["coded_videos", "behaviour", "f1"]]
    curves: dict[str, dict[int, float]] = {}
    for number, of_number in sorted(scores.items()):
        for behaviour, figures in of_number.figures().items():
            if figures.f1 is not None:
                rows.append([number, behaviour, round(figures.f1, 3)])
                curves.setdefault(behaviour, {})[number] = figures.f1
    write_csv(os.path.join(folder, TABLE), rows)
    picture = charts.curves(
        curves,
        bold=MEAN,
        title="Do more coded videos help?",
        x="coded videos that are learned from",
        y="F1 in videos left out, %",
    )
    write_bytes(os.path.join(folder, PICTURE), picture)


def sentence(scores: Mapping[int, FoldScores]) -> str:
    """Say what the curve shows, of two numbers of videos or more."""
    *_, before, last = sorted(scores)
    first_f1 = scores[before].figures()[MEAN].f1 or 0.0
    last_f1 = scores[last].figures()[MEAN].f1 or 0.0
    text = (
        f"learning curve: {before} coded videos tell behaviours in others with a mean"
        f" F1 of {first_f1:.0f}, {last} with {last_f1:.0f}"
    )
    gain = last_f1 - first_f1
    if gain > _LITTLE:
        return f"{text}; it still rises, so more coded videos are likely to help"
    return f"{text}; it hardly rises, so more videos of the same kind may not help"
