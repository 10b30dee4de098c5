"""The time budget: how long each individual did what, as a table of several videos."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from a2d_tf.behaviour.bouts import Prediction, total_by_pair

TIME_BUDGET = "time_budget.csv"


class Row(NamedTuple):
    """A row of the time budget: an actor and an action of a track.

    Attributes:
      video_seconds, fps: of the video.
      individual: name of the video and number of the track, as in clip_1.
      seconds: how long the bouts last together.
      share: of the time in which the track was followed, 0 to 1.
      bouts: how many there are.
      first_second: where the first one starts, in the video.
    """

    video: str
    video_seconds: float
    fps: float
    individual: str
    actor: str
    action: str
    seconds: float
    share: float
    bouts: int
    first_second: float
    mean_bout_seconds: float


COLUMNS = Row._fields
VIDEO_COLUMNS = COLUMNS[:4]
"""First columns of all tables of several videos."""


def rows(predictions: Iterable[Prediction]) -> list[Row]:
    """Return the rows of predictions, track by track."""
    result = []
    for prediction in predictions:
        video = prediction.video
        for track in prediction.tracks:
            totals_of_pairs = total_by_pair([track])
            followed = math.fsum(t.seconds for t in totals_of_pairs.values()) or 1
            for (actor, action), totals in totals_of_pairs.items():
                row = Row(
                    video=prediction.name,
                    video_seconds=round(video.seconds, 3),
                    fps=round(video.fps, 3),
                    individual=f"{prediction.name}_{track.number}",
                    actor=actor,
                    action=action,
                    seconds=round(totals.seconds, 3),
                    share=round(totals.seconds / followed, 4),
                    bouts=totals.bouts,
                    first_second=totals.start,
                    mean_bout_seconds=round(totals.seconds / totals.bouts, 3),
                )
                result.append(row)
    return result
