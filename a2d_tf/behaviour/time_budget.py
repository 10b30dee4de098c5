"""The time budget: a table of how long each individual did what, in several videos."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from a2d_tf.behaviour.bouts import Prediction, total_by_pair

TIME_BUDGET = "time_budget.csv"
"""The file with the table."""


class Row(NamedTuple):
    """A row of the time budget: the bouts of a track with one actor and one action.

    Attributes:
      video: the name of the video.
      video_seconds: the length of the video in seconds.
      fps: frames per second of the video.
      individual: the name of the video and the number of the track, as in clip_1.
      actor: the actor that the track is taken for in these bouts.
      action: the action.
      seconds: the length of the bouts together, in seconds.
      share: the share of these seconds in all bouts of the track, 0 to 1.
      bouts: the number of bouts.
      first_second: the start of the first bout, in seconds of the video.
      mean_bout_seconds: the mean length of the bouts in seconds.
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
"""The columns of the table."""
VIDEO_COLUMNS = COLUMNS[:4]
"""The first columns of all tables of several videos."""


def rows(predictions: Iterable[Prediction]) -> list[Row]:
    """Return the rows of the time budget, video by video and track by track.

    Args:
      predictions: the predictions of the videos.
    """
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
