"""The time budget: how long each individual did what, as a table of several videos."""

from __future__ import annotations

import math
from collections.abc import Iterable

from a2d_tf.behaviour.bouts import Prediction, total_by_pair

TIME_BUDGET = "time_budget.csv"
VIDEO_COLUMNS = ("video", "video_seconds", "fps", "individual")
"""First columns of the tables of several videos; an individual is VIDEO_TRACK."""
COLUMNS = (
    *VIDEO_COLUMNS,
    "actor",
    "action",
    "seconds",
    "share",
    "bouts",
    "first_second",
    "mean_bout_seconds",
)
"""Columns of the time budget."""


def rows(predictions: Iterable[Prediction]) -> list[tuple]:
    """Return a row of COLUMNS for each actor and action of each track.

    A share is of the time in which the track was followed, 0 to 1.
    """
    result: list[tuple] = []
    for prediction in predictions:
        video = prediction.video
        for track in prediction.tracks:
            totals_of_pairs = total_by_pair([track])
            followed = math.fsum(t.seconds for t in totals_of_pairs.values()) or 1
            for (actor, action), totals in totals_of_pairs.items():
                row = (
                    prediction.name,
                    round(video.seconds, 3),
                    round(video.fps, 3),
                    f"{prediction.name}_{track.number}",
                    actor,
                    action,
                    round(totals.seconds, 3),
                    round(totals.seconds / followed, 4),
                    totals.bouts,
                    totals.start,
                    round(totals.seconds / totals.bouts, 3),
                )
                result.append(row)
    return result
