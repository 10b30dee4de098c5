"""What the pages of a video and of a library share: tables of who did what how long."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from a2d_tf.behaviour import action_colours, bouts
from a2d_tf.behaviour.prediction_folder import VideoInfo
from a2d_tf.core.files import write_text
from a2d_tf.evaluation.reports.templates import render

COLUMNS = ("actor", "action", "tracks", "seconds", "bouts", "mean score")
"""Columns of the tables, behind that of the name."""

_TEMPLATES = pathlib.Path(__file__).parent


class TrackTotal(NamedTuple):
    """The total of a track's bouts of one actor and action.

    Attributes:
      track_score: of the whole track.
      seconds, bouts: how long they last, and how many there are.
      seconds_by_score: their seconds times their score.
    """

    track_score: float
    seconds: float
    bouts: int
    seconds_by_score: float


class PairTotals(NamedTuple):
    """An actor and an action, and the total of each track that has bouts of them.

    The page adds up those of the tracks above the least score that is chosen there.
    """

    actor: str
    action: str
    totals: Sequence[TrackTotal]


class TableRow(NamedTuple):
    """A row of a table: what a track, or the tracks of a video, did of a pair."""

    name: str
    actor: str
    action: str
    totals: Sequence[TrackTotal]


def totals_of_pairs(tracks: Iterable[bouts.TrackBouts]) -> list[PairTotals]:
    """Return the totals of tracks for each actor and action, in the order of these."""
    totals: dict[tuple[str, str], list[TrackTotal]] = collections.defaultdict(list)
    for track in tracks:
        for pair, total in bouts.total_by_pair([track]).items():
            totals[pair].append(
                TrackTotal(
                    track_score=track.score,
                    seconds=round(total.seconds, 3),
                    bouts=total.bouts,
                    seconds_by_score=round(total.seconds * total.score, 6),
                )
            )
    return [PairTotals(*pair, totals[pair]) for pair in sorted(totals)]


def write_html(
    path: str,
    template: str,
    title: str,
    rows: Sequence[TableRow],
    video_info: VideoInfo | None,
    **values: Any,
) -> None:
    """Write a page with a table of rows, above it one of all rows together.

    Args:
      template: file name of the page's template.
      video_info: of a video on the page; None if there is none.
      **values: further ones for the template.
    """
    totals: dict[tuple[str, str], list[TrackTotal]] = collections.defaultdict(list)
    for row in rows:
        totals[row.actor, row.action] += row.totals
    rows_of_all = [TableRow("all", *pair, totals[pair]) for pair in sorted(totals)]
    labels = None
    max_tracks = None
    if video_info is not None:
        labels = video_info.labels
        max_tracks = video_info.max_tracks
    html = render(
        template,
        title,
        _TEMPLATES,
        actors=sorted({row.actor for row in rows}),
        action_colours=action_colours.colours(
            (row.action for row in rows_of_all), labels
        ),
        max_tracks=max_tracks,
        tables=(rows_of_all, rows),
        **values,
    )
    write_text(path, html)
