"""Tables of what each individual did for how long, and of which action followed which."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Sequence

from a2d_tf.behaviour.bouts import Prediction, sums
from a2d_tf.behaviour.predictions import Facts
from a2d_tf.core.files import write_csv

TIME_BUDGET = "time_budget.csv"
VIDEO = ("video", "video_seconds", "fps", "individual")
"""First columns of the tables of several videos."""
_BUDGET = ("actor", "action", "seconds", "share", "bouts", "first_second", "mean_bout_seconds")


def of_video(name: str, facts: Facts, track: int | str) -> tuple:
    """Return the cells of `VIDEO`; `individual` is no other track's in any video."""
    return name, round(facts.seconds, 3), round(facts.fps, 3), f"{name}_{track}"


def write_time_budget(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """Write a CSV of `VIDEO` and `_BUDGET` with a row for each actor and action of each track.

    A share is of the time in which the track was followed, 0 to 1.
    """
    rows: list[tuple] = [(*VIDEO, *_BUDGET)]
    for each in predictions:
        for track in each.tracks:
            added = sums([track], operator.attrgetter("actor", "action"))
            whole = math.fsum(own.seconds for own in added.values()) or 1
            video = of_video(each.name, each.facts, track.number)
            for pair, own in added.items():
                numbers = (round(own.seconds, 3), round(own.seconds / whole, 4), own.bouts)
                mean = round(own.seconds / own.bouts, 3)
                rows.append((*video, *pair, *numbers, own.start, mean))
    write_csv(path, rows)


def transitions(predictions: Iterable[Prediction], actions: Sequence[str]) -> list[list[int]]:
    """Count how often a track went from one action (row) to another (column).

    Bouts that differ in the actor alone are one, so that the diagonal is 0.
    """
    counts = [[0] * len(actions) for _ in actions]
    for track in (track for each in predictions for track in each.tracks):
        for before, after in zip(track.bouts, track.bouts[1:]):
            if before.action != after.action:
                counts[actions.index(before.action)][actions.index(after.action)] += 1
    return counts
