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
from a2d_tf.runs.video_splits import SPLITS, TRAINED
from a2d_tf.video.pages import trust

_COLUMNS = ("actor", "action", "tracks", "seconds", "bouts", "mean score")
_UNSURE_COLUMN = "unsure s"

_TEMPLATES = pathlib.Path(__file__).parent


class TrackTotal(NamedTuple):
    """The total of a track's bouts of one actor and action.

    Attributes:
      track_score: of the whole track.
      seconds, bouts: how long they last, and how many there are.
      seconds_by_score: their seconds times their score.
      unsure_seconds: those of the bouts that are unsure.
    """

    track_score: float
    seconds: float
    bouts: int
    seconds_by_score: float
    unsure_seconds: float


class PairTotals(NamedTuple):
    """An actor and an action, and the total of each track that has bouts of them.

    The page adds up those of the tracks above the least score that is chosen there.
    """

    actor: str
    action: str
    totals: Sequence[TrackTotal]


class TableRow(NamedTuple):
    """A row of a table: what a track, or the tracks of a video, did of a pair.

    `split` is what the video was to the model; empty if nobody says.
    """

    name: str
    actor: str
    action: str
    totals: Sequence[TrackTotal]
    split: str = ""


class RowSums(NamedTuple):
    """What a row of a table shows: the totals of its tracks together."""

    tracks: int
    seconds: float
    bouts: int
    mean_score: float
    unsure_seconds: float


def totals_of_pairs(
    tracks: Iterable[bouts.TrackBouts], unsure_below: float | None
) -> list[PairTotals]:
    """Return the totals of tracks for each actor and action, in the order of these.

    Bouts with a score below `unsure_below` are unsure; None: none of them.
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


def summed(totals: Sequence[TrackTotal]) -> RowSums:
    """Add up the totals of tracks; of moments alone the mean score is 0."""
    seconds = sum(total.seconds for total in totals)
    seconds_by_score = sum(total.seconds_by_score for total in totals)
    return RowSums(
        tracks=len(totals),
        seconds=seconds,
        bouts=sum(total.bouts for total in totals),
        mean_score=seconds_by_score / (seconds or 1),
        unsure_seconds=sum(total.unsure_seconds for total in totals),
    )


def sums(rows: Sequence[TableRow]) -> list[TableRow]:
    """Return a row for each pair in the videos of each split, or in all of them."""
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


def write_html(
    path: str,
    template: str,
    title: str,
    name_column: str,
    rows: Sequence[TableRow],
    video_info: VideoInfo | None,
    split: str = "",
    **values: Any,
) -> None:
    """Write a page with a table of rows, above it one of their sums.

    Above all stands how far to trust it, as far as the model says that.

    Args:
      template: file name of the page's template.
      name_column: what the names of the rows are of.
      video_info: of a video on the page; None if there is none.
      split: what the page's only video was to the model, whose labels in videos that it
        was trained on are not doubted.
      **values: further ones for the template.
    """
    rows_of_all = sums(rows)
    labels = None
    max_tracks = None
    fields = None
    unsure_below = None
    if video_info is not None:
        fields = video_info.held_out
        labels = video_info.labels
        max_tracks = video_info.max_tracks
        unsure_below = video_info.unsure_below
    columns = [name_column, *_COLUMNS]
    if unsure_below is not None:
        columns.append(_UNSURE_COLUMN)
    doubted_rows = [row for row in rows if TRAINED not in (row.split, split)]
    html = render(
        template,
        title,
        _TEMPLATES,
        actors=sorted({row.actor for row in rows}),
        action_colours=action_colours.colours(
            (row.action for row in rows_of_all), labels
        ),
        max_tracks=max_tracks,
        columns=columns,
        unsure_below=unsure_below,
        about_unsure=trust.of_unsure(fields),
        trust=trust.of_model(fields),
        doubts=trust.doubts(fields, ((row.actor, row.action) for row in doubted_rows)),
        tables=(rows_of_all, rows),
        summed=summed,
        split=split,
        **values,
    )
    write_text(path, html)
