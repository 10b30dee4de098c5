"""Coded times, who did what from when to when: events and projects of BORIS, and
`summary.csv`.

Source: olivierfriard/BORIS, `boris/export_observation.py` (`export_tabular_events`),
`boris/export_events.py` (`export_aggregated_events`), `boris/project_functions.py`
(`events_start_stop`), format 7.0. Its times have the observation's offset added.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from a2d_tf.annotations.tracked_video import name_of
from a2d_tf.core.checked_json import load_json, one_of
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import read_text
from a2d_tf.core.labels import is_name
from a2d_tf.data.decoder import DEFAULT_FPS

_AGGREGATED = ("Observation id", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
_TABULAR = ("Observation id", "Behavior", "Behavior type", "Time")
_SUMMARY = ("track_id", "action", "start_second", "end_second")
_OFFSET = "Time offset (s)"
_MEDIA = ("Media file name", "Media file", "Source")  # by version of BORIS
_PROJECT = {
    "behaviors_conf": {str: {"code": str, "type": str}},
    "observations": {str: {"file": ({str: [str]}, one_of([])), "events": [list]}},
}


class Bout(NamedTuple):
    """What a subject, '' for no one in particular, does from a second of the video to
    another, the same of a point event; and where the file says so, for errors.
    """

    subject: str
    action: str
    start: float
    end: float
    where: str


@dataclasses.dataclass
class Observation:
    """What was coded of a video.

    Attributes:
      video: name of the video's file without its suffix, else the observation's.
      bouts: in the order of the file, where they end.
      modifiers: how many events have modifiers, which are ignored.
    """

    name: str
    video: str
    bouts: list[Bout] = dataclasses.field(default_factory=list)
    modifiers: int = 0


def read(path: str | os.PathLike) -> list[Observation]:
    """Read the observations of a file.

    Raises:
      InputError: it is none of these files, a value is malformed, a state event does
        not stop, or an observation has several videos, whose times BORIS counts on.
    """
    text = read_text(path)
    if text.lstrip().startswith("{"):
        return _of_project(path)
    # Spreadsheets of many languages separate cells by semicolons.
    mark = max("\t;,", key=text.partition("\n")[0].count)
    lines = io.StringIO(text, newline="")
    table, rows = csv.DictReader(lines, restval="", delimiter=mark, strict=True), []
    try:
        for row in table:
            rows.append((f"{path}, line {table.line_num}", row))
            if None in row:  # as of 0,5 among commas
                raise csv.Error("more cells than columns; write seconds as in 12.5")
    except csv.Error as error:  # or a quote that never ends
        raise InputError(
            f"{path}, line {table.line_num}: {error}; export it again"
        ) from error
    columns = {*(table.fieldnames or ())}
    if not rows:
        raise InputError(f"{path}: no events; export them from BORIS as CSV or TSV")
    if columns.issuperset(_SUMMARY):
        return _of_summary(path, rows)
    if not columns.issuperset(_AGGREGATED) and not columns.issuperset(_TABULAR):
        missing = next(name for name in _TABULAR if name not in columns)
        raise InputError(
            f"{path}: no column {missing!r}; export tabular or aggregated events from"
            " BORIS as CSV or TSV, or pass its project or a summary.csv"
        )
    return _of_tables(rows, "Start (s)" in columns)


def check_coders(observations: Iterable[Observation]) -> None:
    """Raise InputError where two observations of a video code one subject, as two
    coders do.
    """
    seen: dict[tuple[str, str], str] = {}
    for each in observations:
        for subject in sorted({bout.subject for bout in each.bouts}):
            if (
                other := seen.setdefault((each.video, subject), each.name)
            ) != each.name:
                both = f"observations {quoted(other)} and {quoted(each.name)} both code"
                both = f"{both} {quoted(subject)} in '{each.video}'"
                raise InputError(f"{each.bouts[0].where}: {both}; pass one of them")


def _of_tables(rows, is_aggregated):
    """Return the observations of BORIS' rows, each with its place."""
    found: dict[str, Observation] = {}
    events: dict[str, list] = collections.defaultdict(list)
    for where, row in rows:
        name, action = row["Observation id"], _named(row["Behavior"], where)
        media = [row[x] for x in _MEDIA if row.get(x) not in _NONE]
        video = _video(media, name, where)
        own = found.setdefault(name, Observation(name, video))
        if own.video != video:
            raise InputError(f"{where}: {_SEVERAL}")
        subject, modifiers = (
            _subject(row.get("Subject")),
            [row[x] for x in row if "Modifier" in x],
        )
        own.modifiers += any(modifiers)
        if is_aggregated:
            is_state = row["Behavior type"].upper().startswith("STATE")
            # a point may have none
            ends = ("Start (s)", "Stop (s)" if is_state else "Start (s)")
            start, end = (_seconds(row, end, where) for end in ends)
            own.bouts.append(_bout(subject, action, start, end, where))
        else:
            kind, key = row["Behavior type"].upper(), (subject, action, *modifiers)
            events[name].append((kind, key, _seconds(row, "Time", where), where))
    for name, listed in events.items():
        found[name].bouts += _paired(listed)
    return list(found.values())


def _of_project(path):
    """Return the observations of a project, in which a state event starts, and then
    stops.
    """
    remedy = "save the project again from BORIS"
    content = load_json(path, _PROJECT, remedy)
    types = {each["code"]: each["type"] for each in content["behaviors_conf"].values()}
    found = []
    for name, fields in content["observations"].items():
        place, players = (
            f"{path}: observations.{quoted(name)}",
            dict(fields["file"] or {}),
        )
        own = Observation(name, _video([";".join(players.get("1", ()))], name, place))
        events = []
        for i, event in enumerate(fields["events"]):
            where = f"{place}.events[{i}]"
            if len(event) < 4 or not all(isinstance(text, str) for text in event[1:4]):
                raise InputError(
                    f"{where}: expected time, subject, code, modifiers; {remedy}"
                )
            time, subject, action, modifiers = event[:4]
            seconds = _seconds(
                {"Time": time, _OFFSET: fields.get("time offset")}, "Time", where
            )
            kind = "STATE" if types.get(action, "").startswith("State") else "POINT"
            key = _subject(subject), _named(action, where), modifiers
            own.modifiers += bool(modifiers)
            events.append((kind, key, seconds, where))
        own.bouts += _paired(events)
        found.append(own)
    return found


def _of_summary(path, rows):
    """Return the observations of a prediction's `summary.csv`, or of a library's."""
    if "video" not in rows[0][1]:
        kind = {"name": str, "images": ([str], None)}
        facts = load_json(
            pathlib.Path(path).parent / "video.json", kind, "copy both files"
        )
        own = {"video": name_of(facts["name"], facts["images"])}
        rows = [(where, {**row, **own}) for where, row in rows]
    names = ("video", "track_id", "action", "start_second", "end_second")
    columns = ("Observation id", "Subject", "Behavior", "Start (s)", "Stop (s)")
    events = [
        (where, {"Behavior type": "STATE", **dict(zip(columns, map(row.get, names)))})
        for where, row in rows
    ]
    return _of_tables(events, True)


_NONE = (None, "", "NA", "Not found")
_SEVERAL = "observation spans several videos; split it"


def _video(media, name, where):
    """Return the name of the video of an observation: of its only file, else its
    own.
    """
    # Of two cameras the first: '/a/clip1.mp4', 'player #1:clip1.mp4|player
    # #2:clip2.mp4'.
    files = [
        re.sub(r"^player #\d+:", "", text).partition("|")[0] for text in media
    ] or [""]
    if any(";" in file for file in files):
        raise InputError(f"{where}: {_SEVERAL}")
    return os.path.splitext(re.split(r"[\\/]", files[0])[-1])[0] or name


def _subject(text):
    return "" if text in (*_NONE, "No focal subject") else text.strip()


def _named(text, where):
    if not is_name(name := text.strip()):
        raise InputError(
            f"{where}: behaviour {quoted(text)} is not a valid name; rename it"
        )
    return name


def _seconds(row, column, where):
    """Return a time in the video; of images, whose events have no time, by the
    image's number.
    """
    try:
        if row[column] in ("NA", "NaN", "nan", "") and row.get("Image index"):
            return (float(row["Image index"]) - 1) / DEFAULT_FPS
        seconds = float(row[column]) - float(row.get(_OFFSET) or 0)
        if abs(seconds) < 1e9:
            return seconds
    except (OverflowError, TypeError, ValueError):
        pass
    raise InputError(
        f"{where}: {column}: {quoted(row[column])} is not a time; expected seconds"
    )


def _bout(subject, action, start, end, where):
    if end < start:
        raise InputError(
            f"{where}: stops at {end:.3f} s, before it starts at {start:.3f} s"
        )
    return Bout(subject, action, start, end, where)


def _paired(events):
    """Return the bouts of events (START, STOP, POINT or STATE, which is either;
    subject, action and modifiers, the same of start and stop; seconds; where).
    """
    begun: dict[tuple, tuple[float, str]] = {}
    bouts = []
    for kind, key, seconds, where in events:
        subject, action, *_ = key
        if kind == "POINT":
            bouts.append(_bout(subject, action, seconds, seconds, where))
        elif kind != "START" and key in begun:
            bouts.append(_bout(subject, action, begun.pop(key)[0], seconds, where))
        elif kind != "STOP" and key not in begun:
            begun[key] = seconds, where
        else:
            _complain(where, key, f": {kind} without the other")
    for key, (_, where) in begun.items():
        _complain(where, key, " does not stop")
    return bouts


def _complain(where, key, problem):
    named = f"{quoted(key[1])} of {quoted(key[0])}"
    raise InputError(f"{where}: {named}{problem}; check the state events in BORIS")
