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


class TrackSum(NamedTuple):
    """What the bouts of a track come to, for one actor and action.

    Attributes:
      track_score: of the whole track.
      seconds, bouts: how long they last, and how many there are.
      seconds_by_score: their seconds times their score.
    """

    track_score: float
    seconds: float
    bouts: int
    seconds_by_score: float


class PairSums(NamedTuple):
    """The sums of all tracks, for one actor and action.

    The page adds up those of the tracks above the least score that is chosen there.
    """

    actor: str
    action: str
    track_sums: Sequence[TrackSum]


class TableRow(NamedTuple):
    """A row of a table: the sums of one track, or of one video."""

    name: str
    actor: str
    action: str
    track_sums: Sequence[TrackSum]


def pair_sums(tracks: Iterable[bouts.TrackBouts]) -> list[PairSums]:
    """Return the sums of tracks for each actor and action, in the order of these."""
    sums_of_pairs = collections.defaultdict(list)
    for track in tracks:
        for pair, total in bouts.total_by_pair([track]).items():
            sums_of_pairs[pair].append(
                TrackSum(
                    track_score=track.score,
                    seconds=round(total.seconds, 3),
                    bouts=total.bouts,
                    seconds_by_score=round(total.seconds * total.score, 6),
                )
            )
    rows = []
    for actor, action in sorted(sums_of_pairs):
        rows.append(PairSums(actor, action, sums_of_pairs[actor, action]))
    return rows


def write_html(
    path: str,
    template: str,
    title: str,
    rows: Sequence[TableRow],
    video_info: VideoInfo | None,
    **values: Any,
) -> None:
    """Write a page with a table of rows, and one of the sums of all rows.

    Args:
      template: file name of the page's template.
      video_info: of a video on the page; None if there is none.
      **values: further ones for the template.
    """
    sums_of_pairs: dict[tuple[str, str], list[TrackSum]] = collections.defaultdict(list)
    for row in rows:
        sums_of_pairs[row.actor, row.action] += row.track_sums
    total_rows = []
    for actor, action in sorted(sums_of_pairs):
        track_sums = sums_of_pairs[actor, action]
        total_rows.append(TableRow("all", actor, action, track_sums))
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
        shades=action_colours.colours((row.action for row in total_rows), labels),
        limit=max_tracks,
        tables=(total_rows, rows),
        **values,
    )
    write_text(path, html)
