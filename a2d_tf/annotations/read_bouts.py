"""Coded bouts: events and projects of BORIS, and a prediction's `summary.csv`.

Source: olivierfriard/BORIS, `boris/export_observation.py` (`export_tabular_events`) and
`boris/export_events.py` (`export_aggregated_events`), format 7.0. Its times have the
observation's offset added.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from a2d_tf.annotations import read_boris_project
from a2d_tf.annotations.observations import (
    NOT_GIVEN,
    SEVERAL_VIDEOS,
    Event,
    Observation,
    action_name,
    bouts_of_events,
    coded_bout,
    second_in_video,
    subject_name,
    video_name,
)
from a2d_tf.annotations.tracked_video import name_of
from a2d_tf.core.checked_json import load_json
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text
from a2d_tf.data.decoder import DEFAULT_FPS

_AGGREGATED = ("Observation id", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
_TABULAR = ("Observation id", "Behavior", "Behavior type", "Time")
_SUMMARY = ("track_id", "action", "start_second", "end_second")
_OFFSET = "Time offset (s)"
_MEDIA = ("Media file name", "Media file", "Source")  # by version of BORIS
_NO_TIME = ("NA", "NaN", "nan", "")


class _Line(NamedTuple):
    """A line of a table; `where` is the file and the line, for errors."""

    cells: Mapping[str, str]
    where: str


def read(path: str | os.PathLike) -> list[Observation]:
    """Read the observations of a file.

    Raises:
      InputError: it is none of these files, a value is malformed, a state event does
        not stop, or an observation has several videos, whose times BORIS counts on.
    """
    text = read_text(path)
    if text.lstrip().startswith("{"):
        return read_boris_project.read(path)
    columns, lines = _read_table(path, text)
    if not lines:
        raise InputError(f"{path}: no events; export them from BORIS as CSV or TSV")
    if columns.issuperset(_SUMMARY):
        return _of_aggregated_events(_summary_as_events(path, lines))
    if "Start (s)" in columns and columns.issuperset(_AGGREGATED):
        return _of_aggregated_events(lines)
    if columns.issuperset(_TABULAR):
        return _of_tabular_events(lines)
    missing = next(name for name in _TABULAR if name not in columns)
    raise InputError(
        f"{path}: no column {missing!r}; export tabular or aggregated events from"
        " BORIS as CSV or TSV, or pass its project or a summary.csv"
    )


def _read_table(path: str | os.PathLike, text: str) -> tuple[set[str], list[_Line]]:
    """Return the names of the columns, and the lines below them."""
    # Spreadsheets of many languages separate cells by semicolons.
    separator = max("\t;,", key=text.partition("\n")[0].count)
    table = csv.DictReader(
        io.StringIO(text, newline=""), restval="", delimiter=separator, strict=True
    )
    lines = []
    try:
        for cells in table:
            lines.append(_Line(cells, f"{path}, line {table.line_num}"))
            if None in cells:  # as of 0,5 among commas
                raise csv.Error("more cells than columns; write seconds as in 12.5")
    except csv.Error as error:  # or a quote that never ends
        raise InputError(
            f"{path}, line {table.line_num}: {error}; export it again"
        ) from error
    return set(table.fieldnames or ()), lines


def _summary_as_events(path: str | os.PathLike, lines: Sequence[_Line]) -> list[_Line]:
    """Return the lines of a `summary.csv`, of a prediction or a library, as BORIS's.

    A library's names the videos; beside a prediction's, `video.json` does.
    """
    video = None
    if "video" not in lines[0].cells:
        fields = load_json(
            pathlib.Path(path).parent / "video.json",
            {"name": str, "images": ([str], None)},
            "copy both files",
        )
        video = name_of(fields["name"], fields["images"])
    events = []
    for line in lines:
        cells = {
            "Observation id": line.cells["video"] if video is None else video,
            "Subject": line.cells["track_id"],
            "Behavior": line.cells["action"],
            "Behavior type": "STATE",
            "Start (s)": line.cells["start_second"],
            "Stop (s)": line.cells["end_second"],
        }
        events.append(_Line(cells, line.where))
    return events


def _of_aggregated_events(lines: Sequence[_Line]) -> list[Observation]:
    """Return the observations of a table with a line for each bout."""
    observations: dict[str, Observation] = {}
    for line in lines:
        action = action_name(line.cells["Behavior"], line.where)
        observation = _observation_of(line, observations)
        if any(_modifiers(line)):
            observation.modifiers += 1
        # A point event may have no stop.
        is_state = line.cells["Behavior type"].upper().startswith("STATE")
        bout = coded_bout(
            subject=subject_name(line.cells.get("Subject")),
            action=action,
            start=_second(line, "Start (s)"),
            end=_second(line, "Stop (s)" if is_state else "Start (s)"),
            where=line.where,
        )
        observation.bouts.append(bout)
    return list(observations.values())


def _of_tabular_events(lines: Sequence[_Line]) -> list[Observation]:
    """Return the observations of a table with a line for each start and stop."""
    observations: dict[str, Observation] = {}
    events: dict[str, list[Event]] = collections.defaultdict(list)
    for line in lines:
        action = action_name(line.cells["Behavior"], line.where)
        observation = _observation_of(line, observations)
        modifiers = _modifiers(line)
        if any(modifiers):
            observation.modifiers += 1
        event = Event(
            kind=line.cells["Behavior type"].upper(),
            subject=subject_name(line.cells.get("Subject")),
            action=action,
            modifiers=modifiers,
            second=_second(line, "Time"),
            where=line.where,
        )
        events[observation.name].append(event)
    for name, observation in observations.items():
        observation.bouts += bouts_of_events(events[name])
    return list(observations.values())


def _observation_of(line: _Line, observations: dict[str, Observation]) -> Observation:
    """Return the observation of a line, a new one if it is not there.

    Raises:
      InputError: the line is of another video than the others of the observation.
    """
    name = line.cells["Observation id"]
    media = []
    for column in _MEDIA:
        text = line.cells.get(column)
        if text is not None and text not in NOT_GIVEN:
            media.append(text)
    video = video_name(media, name, line.where)
    observation = observations.setdefault(name, Observation(name, video))
    if observation.video != video:
        raise InputError(f"{line.where}: {SEVERAL_VIDEOS}")
    return observation


def _modifiers(line: _Line) -> tuple[str, ...]:
    """Return the modifiers of an event, '' for one that is not set."""
    return tuple(line.cells[column] for column in line.cells if "Modifier" in column)


def _second(line: _Line, column: str) -> float:
    """Return a time in the video.

    Events of images have no time; the image's number gives it.
    """
    text = line.cells[column]
    image_index = line.cells.get("Image index")
    if text in _NO_TIME and image_index:
        with contextlib.suppress(ValueError):
            return (float(image_index) - 1) / DEFAULT_FPS
    return second_in_video(text, line.cells.get(_OFFSET), column, line.where)
