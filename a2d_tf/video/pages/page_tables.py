"""The rows of the tables of pages and libraries: who did what for how long.

A pair is an actor and an action; a bout is a period in which a track has one pair.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2d_tf.behaviour import bouts
from a2d_tf.runs.video_splits import SPLITS


class TrackTotal(NamedTuple):
    """The total of one track's bouts of one actor and action.

    Attributes:
      track_score: mean score of the whole track, 0 to 1; a page hides tracks below a
        limit.
      seconds: total duration of the bouts.
      bouts: number of the bouts.
      seconds_by_score: total duration of the bouts times their mean score.
      unsure_seconds: total duration of those bouts whose score is low.
    """

    track_score: float
    seconds: float
    bouts: int
    seconds_by_score: float
    unsure_seconds: float


class PairTotals(NamedTuple):
    """An actor and an action, with the total of each track that has bouts of this pair.

    A page adds up the tracks above a least score, which its reader chooses.

    Attributes:
      actor: name of the actor.
      action: name of the action.
      totals: the total of each such track.
    """

    actor: str
    action: str
    totals: Sequence[TrackTotal]


class TableRow(NamedTuple):
    """A row of a table: an actor and an action of a track or of a video.

    Attributes:
      name: name of the track or of the video.
      actor: name of the actor.
      action: name of the action.
      totals: the total of each track in the row.
      split: what the video was to the model: "trained", "held out" or "new"; "" if it
        is unknown.
    """

    name: str
    actor: str
    action: str
    totals: Sequence[TrackTotal]
    split: str = ""


class RowSums(NamedTuple):
    """The figures of a row of a table, for all its tracks together.

    Attributes:
      tracks: number of the tracks.
      seconds: total duration of their bouts.
      bouts: number of their bouts.
      mean_score: mean score of the bouts, weighted by duration; 0 to 1.
      unsure_seconds: total duration of those bouts whose score is low.
    """

    tracks: int
    seconds: float
    bouts: int
    mean_score: float
    unsure_seconds: float


def totals_of_pairs(
    tracks: Iterable[bouts.TrackBouts], unsure_below: float | None
) -> list[PairTotals]:
    """Add up the bouts of each track for each actor and action.

    Args:
      tracks: the tracks of a video, with their bouts.
      unsure_below: score below which a bout is unsure, 0 to 1; None if no bout is
        unsure.

    Returns:
      an item for each pair of actor and action, in alphabetical order.
    """
    limit = unsure_below or 0.0
    totals: dict[tuple[str, str], list[TrackTotal]] = collections.defaultdict(list)
    for track in tracks:
        unsure_seconds: dict[tuple[str, str], float]
        unsure_seconds = collections.defaultdict(float)
        for bout in track.bouts:
            if bout.score < limit:
                unsure_seconds[bout.actor, bout.action] += bout.seconds
        for pair, total in bouts.total_by_pair([track]).items():
            totals[pair].append(
                TrackTotal(
                    track_score=track.score,
                    seconds=round(total.seconds, 3),
                    bouts=total.bouts,
                    seconds_by_score=round(total.seconds * total.score, 6),
                    unsure_seconds=round(unsure_seconds[pair], 3),
                )
            )
    return [PairTotals(*pair, totals[pair]) for pair in sorted(totals)]


def sum_totals(totals: Sequence[TrackTotal]) -> RowSums:
    """Add up the totals of tracks; the mean score of bouts without duration is 0.

    Args:
      totals: the totals of the tracks in a row of a table.
    """
    seconds = sum(total.seconds for total in totals)
    seconds_by_score = sum(total.seconds_by_score for total in totals)
    return RowSums(
        tracks=len(totals),
        seconds=seconds,
        bouts=sum(total.bouts for total in totals),
        mean_score=seconds_by_score / (seconds or 1),
        unsure_seconds=sum(total.unsure_seconds for total in totals),
    )


def sum_rows(rows: Sequence[TableRow]) -> list[TableRow]:
    """Join the rows of a table to one row for each pair in the videos of each split.

    Args:
      rows: rows of tracks or of videos.

    Returns:
      rows whose name is the split; videos without a known split are one group, "all".
    """
    totals: dict[tuple[str, str, str], list[TrackTotal]]
    totals = collections.defaultdict(list)
    for row in rows:
        totals[row.split, row.actor, row.action] += row.totals
    order = ("", *SPLITS)
    result = []
    for key in sorted(totals, key=lambda key: (order.index(key[0]), *key)):
        split, actor, action = key
        result.append(TableRow(split or "all", actor, action, totals[key], split))
    return result
