"""The learning curve of rounds: the F1 of each in videos held out."""

from __future__ import annotations

from collections.abc import Iterable

from a2d_tf.commands.rounds.round_folder import RoundFolder
from a2d_tf.core.counts import BehaviourCounts
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.evaluation.own_labels import learning_curve
from a2d_tf.evaluation.own_labels.learning_curve import Point
from a2d_tf.runs.held_out_scores import HeldOutScores


def draw(
    folder: RoundFolder, before: RoundFolder | None, held_out: HeldOutScores
) -> None:
    """Add a point to the curve of the earlier rounds, and draw it in the round's run.

    The point of the round before is replaced, since it is now scored on the frames of
    this one.

    Args:
      folder: the folder of the round.
      before: the folder of the round before; None without one.
      held_out: the scores of the round.
    """
    points = []
    if before:
        points = learning_curve.read(before.run)[:-1]
        videos_before = Manifest.load(before.records).videos("train")
        points.append(Point(len(videos_before), _f1(held_out.before or ())))
    videos = held_out.trained_on or ()
    points.append(Point(len(videos), _f1(held_out.scores.behaviours)))
    learning_curve.write(
        folder.run, learning_curve.with_means(points), learning_curve.OF_ROUNDS
    )


def _f1(behaviours: Iterable[BehaviourCounts]) -> dict[str, float]:
    """Return {behaviour that videos held out show: percent}."""
    f1 = {}
    for behaviour in behaviours:
        if behaviour.is_tested:
            f1[behaviour.name] = behaviour.counts.f1 or 0.0
    return f1
