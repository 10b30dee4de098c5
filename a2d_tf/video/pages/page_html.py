"""Write the HTML of a page of a video or of a library, with its tables."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from a2d_tf.behaviour import action_colours
from a2d_tf.behaviour.prediction_folder import VideoInfo
from a2d_tf.core.files import write_text
from a2d_tf.evaluation.reports.templates import render
from a2d_tf.runs.video_splits import TRAINED
from a2d_tf.video.pages import trust
from a2d_tf.video.pages.page_tables import TableRow, sum_rows, sum_totals

_COLUMNS = ("actor", "action", "tracks", "seconds", "bouts", "mean score")
_UNSURE_COLUMN = "unsure s"
_TEMPLATES = pathlib.Path(__file__).parent


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
    """Write a page with a table of all labels and a table of tracks or videos.

    If the model has scores in held-out videos, they are at the top of the page, and
    labels that it tells poorly are marked in the tables.

    Args:
      path: path of the page.
      template: file name of the Jinja template in this folder.
      title: title of the page.
      name_column: title of the column with the names of the rows, "track" or "video".
      rows: rows of the second table, which are added up for the first.
      video_info: `video.json` of a video on the page, for the facts about the model;
        None if there is no video.
      split: what the only video of the page was to the model; labels in a training
        video ("trained") are not marked. "" if it is unknown, or there are several
        videos.
      **values: further values for the template.

    Raises:
      InputError: the page cannot be written.
    """
    rows_of_all = sum_rows(rows)
    labels = None
    max_tracks = None
    held_out = None
    unsure_below = None
    if video_info is not None:
        held_out = video_info.held_out
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
        about_unsure=trust.of_unsure(held_out),
        trust=trust.of_model(held_out),
        doubts=trust.doubts(
            held_out, ((row.actor, row.action) for row in doubted_rows)
        ),
        tables=(rows_of_all, rows),
        sum_totals=sum_totals,
        split=split,
        **values,
    )
    write_text(path, html)
