"""The learning curve of rounds: the F1 of each in videos held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation import learning_curve
from a2d_tf.evaluation.learning_curve import Point
from a2d_tf.runs import held_out_scores


def draw(
    folder: RoundFolder, before: RoundFolder | None, held_out: Mapping[str, Any]
) -> None:
    """Add a point to the curve of the earlier rounds, and draw it in the round's run.

    The point of the round before is replaced, since it is now scored on the frames of
    this one.

    Args:
      folder: the folder of the round.
      before: the folder of the round before; None without one.
      held_out: the scores of the round, see `runs.held_out_scores`.
    """
    points = []
    if before:
        points = learning_curve.read(before.run)[:-1]
        videos_before = Manifest.load(before.records).videos("train")
        points.append(Point(len(videos_before), _f1(held_out["before"])))
    points.append(Point(len(held_out["trained_on"]), _f1(held_out["behaviours"])))
    learning_curve.write(
        folder.run, learning_curve.with_means(points), learning_curve.OF_ROUNDS
    )


def _f1(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return {behaviour that videos held out show: percent}.

    Args:
      rows: as "behaviours" in `runs.held_out_scores`.
    """
    f1 = {}
    for row in held_out_scores.behaviours(rows):
        if row.is_tested:
            f1[row.name] = 100 * (row.f1 or 0.0)
    return f1
