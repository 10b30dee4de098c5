"""Coded bouts: events and projects of BORIS, and a prediction's `summary.csv`.

Source: olivierfriard/BORIS, `boris/export_observation.py` (`export_tabular_events`) and
`boris/export_events.py` (`export_aggregated_events`), format 7.0. Its times have the
observation's offset added.
"""

from __future__ import annotations

import collections
import csv
import io
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from a2d_tf.annotations.coded_times import boris_project
from a2d_tf.annotations.coded_times.boris_values import (
    SEVERAL_VIDEOS,
    Event,
    action_name,
    bouts_of_events,
    image_index,
    image_name,
    images_of,
    media_of,
    second_in_video,
    stated_number,
    subject_name,
)
from a2d_tf.annotations.coded_times.observations import (
    CodedBout,
    Observation,
    check_order,
)
from a2d_tf.annotations.conventions import BORIS
from a2d_tf.annotations.video_names import name_of
from a2d_tf.core.checked_json import load_json, number
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text

_AGGREGATED = ("Observation id", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
_TABULAR = ("Observation id", "Behavior", "Behavior type", "Time")
_SUMMARY = ("track_id", "action", "start_second", "end_second")
_NEEDED = {*_AGGREGATED, *_TABULAR, *_SUMMARY}
_OFFSET = "Time offset (s)"
_MEDIA = ("Media file name", "Media file", "Source")  # by version of BORIS
_DURATION = "Media duration (s)"
_RATES = ("FPS", "FPS (frame/s)")  # of tabular and of aggregated events
_NO_TIME = (*BORIS.blanks, "NaN", "nan")
_NO_TEXT = {  # first bytes of files that BORIS writes, too
    b"\x1f\x8b": "a compressed project; save it as .boris",
    b"PK": "a spreadsheet; export the events as TSV or CSV",
    b"\xd0\xcf": "a spreadsheet; export the events as TSV or CSV",
}
_VIDEO_INFO = {
    "name": str,
    "images": ([str], None),
    "fps?": number(1e-9, 1e9),
    "fps_is_assumed?": bool,
}


class _Line(NamedTuple):
    """A line of a table.

    Attributes:
      cells: {column: cell}.
      path: the file.
      where: the file and the line, for errors.
    """

    cells: Mapping[str, str]
    path: str
    where: str


def read(path: str | os.PathLike) -> list[Observation]:
    """Read the observations of a file.

    Raises:
      InputError: it is none of these files, a value is malformed, a state event does
        not stop, or an observation has several videos, whose times BORIS counts on.
    """
    with open(path, "rb") as file:
        start = file.read(2)
    if start in _NO_TEXT:
        raise InputError(f"{path}: {_NO_TEXT[start]} from BORIS")
    text = read_text(path)
    if text.lstrip().startswith("{"):
        return boris_project.read(path)
    columns, lines = _read_table(path, text)
    if not lines:
        raise InputError(f"{path}: no events; export them from BORIS as CSV or TSV")
    if columns.issuperset(_SUMMARY):
        return _of_summary(path, lines)
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
        io.StringIO(text, newline=""), delimiter=separator, strict=True
    )
    lines = []
    try:
        columns = table.fieldnames or ()
        is_value = len(columns) > 1 and not any(columns[2:])
        if is_value and columns[0] == "Observation id":
            raise csv.Error(
                "this is the head of a table of BORIS 6; open its project in BORIS 7 or"
                " newer"
            )
        for cells in table:
            if None in cells:  # as of 0,5 among commas
                raise csv.Error("more cells than columns; write seconds as in 12.5")
            absent = {column for column, cell in cells.items() if cell is None}
            # Spreadsheets leave off empty cells at the end of a line, and end the line.
            if absent & _NEEDED or absent and not text.endswith(("\n", "\r")):
                raise csv.Error("fewer cells than columns: it may have been cut")
            cells.update(dict.fromkeys(absent, ""))
            lines.append(_Line(cells, str(path), f"{path}, line {table.line_num}"))
    except csv.Error as error:  # or a quote that never ends
        raise InputError(
            f"{path}, line {table.line_num}: {error}; export it again"
        ) from error
    return set(columns), lines


def _of_summary(path: str | os.PathLike, lines: Iterable[_Line]) -> list[Observation]:
    """Return an observation for each video of a `summary.csv`.

    That of a library names the videos; beside that of a prediction, `video.json` does.
    """
    folder = pathlib.Path(path).parent
    observations: dict[str, Observation] = {}
    for line in lines:
        video = line.cells.get("video", "")
        if video not in observations:
            info_path = folder / video / "video.json"
            observations[video] = _predicted_observation(line, info_path)
        bout = CodedBout(
            subject=subject_name(line.cells["track_id"]),
            action=action_name(line.cells["action"], line.where),
            start=second_in_video(
                line.cells["start_second"], 0, "start_second", line.where
            ),
            end=second_in_video(line.cells["end_second"], 0, "end_second", line.where),
            where=line.where,
        )
        check_order(bout)
        observations[video].bouts.append(bout)
    return list(observations.values())


def _predicted_observation(line: _Line, info_path: pathlib.Path) -> Observation:
    """Return the observation, without bouts, of a line of a `summary.csv`.

    Args:
      info_path: of the video's `video.json`, which only a prediction's table needs.
    """
    video = line.cells.get("video")
    if video is not None and not info_path.exists():
        rate = stated_number(line.cells.get("fps"))
        return Observation(
            video, video, file=line.path, fps=rate, from_first_frame=True
        )
    info = load_json(info_path, _VIDEO_INFO, "copy both files")
    is_folder = info["images"] is not None
    name = video or name_of(info["name"], is_folder)
    # Earlier versions knew no rate of images.
    is_assumed = info.get("fps_is_assumed", is_folder)
    return Observation(
        name=name,
        video=name,
        file=line.path,
        fps=info.get("fps"),
        has_assumed_times=is_assumed,
        from_first_frame=True,
    )


def _of_aggregated_events(lines: Iterable[_Line]) -> list[Observation]:
    """Return the observations of a table with a line for each bout."""
    observations: dict[str, Observation] = {}
    for line in lines:
        action = action_name(line.cells["Behavior"], line.where)
        observation = _observation_of(line, observations)
        # A point event may have no stop.
        is_state = line.cells["Behavior type"].upper().startswith("STATE")
        end = "stop" if is_state else "start"
        times = []
        for which in ("start", end):
            if observation.counts_images:
                times.append(_index(line, f"Image index {which}"))
            else:
                times.append(_second(line, f"{which.title()} (s)"))
        bout = CodedBout(
            subject=subject_name(line.cells.get("Subject")),
            action=action,
            start=times[0],
            end=times[1],
            where=line.where,
            start_image=image_name(line.cells.get("Image file path start")),
            end_image=image_name(line.cells.get(f"Image file path {end}")),
        )
        check_order(bout)
        observation.bouts.append(bout)
    return list(observations.values())


def _of_tabular_events(lines: Iterable[_Line]) -> list[Observation]:
    """Return the observations of a table with a line for each start and stop."""
    observations: dict[str, Observation] = {}
    events: dict[str, list[Event]] = collections.defaultdict(list)
    for line in lines:
        action = action_name(line.cells["Behavior"], line.where)
        observation = _observation_of(line, observations)
        if observation.counts_images:
            time = _index(line, "Image index")
        else:
            time = _second(line, "Time")
        event = Event(
            kind=line.cells["Behavior type"].upper(),
            subject=subject_name(line.cells.get("Subject")),
            action=action,
            modifiers=_modifiers(line),
            time=time,
            where=line.where,
            image=image_name(line.cells.get("Image file path")),
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
    counts_images = _counts_images(line)
    paths = [line.cells.get(column, "") for column in _MEDIA]
    find_media = images_of if counts_images else media_of
    media = find_media(paths, name, line.where)
    if name not in observations:
        rates = [stated_number(line.cells.get(column)) for column in _RATES]
        observations[name] = Observation(
            name,
            media.video,
            file=line.path,
            folder=media.folder,
            fps=rates[0] or rates[1],
            media_seconds=stated_number(line.cells.get(_DURATION)),
            counts_images=counts_images,
        )
    observation = observations[name]
    if observation.video != media.video or observation.counts_images != counts_images:
        raise InputError(f"{line.where}: {SEVERAL_VIDEOS}")
    if any(_modifiers(line)):
        observation.modifiers += 1
    return observation


def _counts_images(line: _Line) -> bool:
    """Return whether an event has the index of an image, and no second that counts.

    Of images BORIS writes seconds only for a time lapse, or by EXIF, in a clock of the
    camera. Of films it writes the index of a frame, too.
    """
    indices = [line.cells.get("Image index"), line.cells.get("Image index start")]
    if all(index is None or index in BORIS.blanks for index in indices):
        return False
    kind = line.cells.get("Observation type", "")
    if kind:
        return "images" in kind
    times = [line.cells.get("Time", ""), line.cells.get("Start (s)", "")]
    return all(time in _NO_TIME for time in times)


def _modifiers(line: _Line) -> tuple[str, ...]:
    """Return the modifiers of an event, '' for one that is not set."""
    return tuple(line.cells[column] for column in line.cells if "Modifier" in column)


def _second(line: _Line, column: str) -> float:
    """Return a time in the video."""
    return second_in_video(
        line.cells[column], line.cells.get(_OFFSET), column, line.where
    )


def _index(line: _Line, column: str) -> float:
    """Return the index of an image, from 1."""
    return image_index(line.cells.get(column), column, line.where)
