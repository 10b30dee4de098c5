"""The time budget: how long each individual did what, as a table of several videos."""

from __future__ import annotations

import math
from collections.abc import Iterable

from a2d_tf.behaviour.bouts import Prediction, sums

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
        video_seconds, fps = prediction.video.cells
        for track in prediction.tracks:
            track_sums = sums([track])
            followed = math.fsum(added.seconds for added in track_sums.values()) or 1
            for (actor, action), added in track_sums.items():
                row = (
                    prediction.name,
                    video_seconds,
                    fps,
                    f"{prediction.name}_{track.number}",
                    actor,
                    action,
                    round(added.seconds, 3),
                    round(added.seconds / followed, 4),
                    added.bouts,
                    added.start,
                    round(added.seconds / added.bouts, 3),
                )
                result.append(row)
    return result
