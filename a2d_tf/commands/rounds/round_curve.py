"""The learning curve of rounds: what each found in videos held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2d_tf.commands.rounds.start_round import RoundFolder
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation import learning_curve
from a2d_tf.evaluation.learning_curve import Point
from a2d_tf.runs import held_out_scores


def draw(
    folder: RoundFolder, before: RoundFolder | None, known: Mapping[str, Any]
) -> None:
    """Add a round to the curve of those before it, in its run.

    The round before is scored anew, on the frames of this one; earlier ones stay as
    they were scored then.

    Args:
      folder: of the round.
      before: that of the round before, if there is one.
      known: fields of `runs.held_out_scores`, of this round.
    """
    points = []
    if before:
        points = learning_curve.read(before.run)[:-1]
        videos_before = Manifest.load(before.records).videos("train")
        points.append(Point(len(videos_before), _f1(known["before"])))
    points.append(Point(len(known["trained_on"]), _f1(known["behaviours"])))
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
