"""Events of BORIS, the coding tool of ethology: read, and written of predictions.

Source: olivierfriard/BORIS, `boris/config.py`, `boris/export_events.py` and
`boris/export_observation.py`, format 7.0.
"""

from __future__ import annotations

import collections
import csv
import os
import re
from collections.abc import Iterable, Sequence

from a2d_tf.behaviour.bouts import Prediction
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import read_text, write_csv, write_json

Spans = dict[str, list[tuple[float, float]]]
"""Action -> its bouts of all individuals, (start, end) in seconds in the video."""

_AGGREGATED = ("Observation id", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
_MEDIA = ("Media file name", "Media file", "Source")  # by version of BORIS
_NO_MEDIA = (None, "", "NA", "Not found")  # the last of a time that its offset puts behind the film
_TABULAR = (
    *("Observation id", "Observation date", "Description", "Observation duration"),
    *("Observation type", "Source", "Time offset (s)", "Media duration (s)", "FPS"),
    *("Subject", "Behavior", "Behavioral category", "Behavior type", "Time"),
    *("Media file name", "Image index", "Image file path", "Comment"),
)


def read(path: str | os.PathLike) -> dict[str, Spans]:
    """Read the state events of BORIS' aggregated events, CSV or TSV.

    Returns:
      {name of the video's file without its suffix, else the observation's: bouts}, in seconds in
      the video: BORIS adds the observation's time offset to its times.

    Raises:
      InputError: columns are missing, a time is no number, a video has several observations, or an
        observation has several videos, whose times BORIS counts on.

    Source: olivierfriard/BORIS, `boris/export_events.py`, `export_aggregated_events`.
    """
    lines = read_text(path).splitlines()
    header = lines[0] if lines else ""
    rows = list(csv.DictReader(lines, delimiter="\t" if "\t" in header else ",", restval=""))
    missing = [name for name in _AGGREGATED if not rows or name not in rows[0]]
    if missing:
        raise InputError(
            f"{path}: no column {missing[0]!r}; export the aggregated events from BORIS as CSV"
        )
    videos: dict[str, str] = {}
    observations: dict[str, str] = {}
    found: dict[str, Spans] = {}
    for number, row in enumerate(rows, 2):
        own, place = row["Observation id"], f"{path}, line {number}"
        media = next((row[name] for name in _MEDIA if row.get(name) not in _NO_MEDIA), "")
        file = re.split(r"[\\/]", re.sub(r"^player #\d+:", "", media))[-1]
        name = os.path.splitext(file)[0] or own
        if videos.setdefault(own, name) != name or ";" in media:
            raise InputError(f"{place}: observation spans several videos; split it")
        if (other := observations.setdefault(name, own)) != own:
            raise InputError(
                f"{place}: observations {shown(other)} and {shown(own)} are both of '{name}'; "
                "export one of them; or give both one Observation id, to add up their events"
            )
        spans = found.setdefault(name, collections.defaultdict(list))
        if row["Behavior type"].upper().startswith("STATE"):
            try:
                offset = float(row.get("Time offset (s)") or 0)
                start, stop = (float(row[end]) - offset for end in ("Start (s)", "Stop (s)"))
                if not start <= stop:
                    raise ValueError(f"{start} to {stop} is not an interval")
            except ValueError as error:
                raise InputError(f"{place}: Start (s) or Stop (s): {error}") from None
            spans[row["Behavior"].strip()].append((start, stop))
    return found


def _events(prediction):
    """(second, whether a bout starts there, subject, action) of starts and stops, in order.

    Where one bout follows another, the first stops before the next starts.
    """
    return sorted(
        event
        for track in prediction.tracks
        for bout in track.bouts
        for event in (
            (bout.start, 1, f"{bout.actor} {track.number}", bout.action),
            (bout.end, 0, f"{bout.actor} {track.number}", bout.action),
        )
    )


def write_project(path: str | os.PathLike, predictions: Sequence[Prediction]) -> None:
    """Write a project that BORIS opens, or imports observations from: one for each video.

    Subjects and behaviours are those of `write_events`. BORIS toggles a state at each event. Dates
    are empty, which BORIS takes for unknown: a prediction does not say when its video was made.

    Source: olivierfriard/BORIS, `boris/config.py` and `tests/files/test.boris`, format 7.0.
    """
    events = {each.name: _events(each) for each in predictions}
    subjects, actions = (
        sorted({event[i] for found in events.values() for event in found}) for i in (2, 3)
    )
    behaviour = {"type": "State event", "key": "", "description": "", "category": ""}
    behaviour |= {"excluded": "", "coding map": ""}
    observations = {}
    for each in predictions:
        facts, name = each.facts, each.facts.name
        media = {"length": {name: facts.seconds}, "fps": {name: facts.fps}}
        media |= {"hasVideo": {name: True}, "hasAudio": {name: False}, "offset": {"1": 0.0}}
        observations[each.name] = {
            **{"type": "MEDIA", "file": {"1": [name]}, "media_info": media},
            **{"date": "", "description": "", "time offset": 0.0},
            **{"independent_variables": {}, "close_behaviors_between_videos": False},
            "events": [[time, who, what, "", ""] for time, _, who, what in events[each.name]],
        }
    project = {
        **{"time_format": "s", "project_date": "", "project_name": "a2d_tf"},
        **{"project_description": "", "project_format_version": "7.0"},
        "subjects_conf": {
            str(i): {"key": "", "name": name, "description": ""} for i, name in enumerate(subjects)
        },
        "behaviors_conf": {
            str(i): {**behaviour, "code": name, "modifiers": {}} for i, name in enumerate(actions)
        },
        "observations": observations,
        **{"behavioral_categories": [], "independent_variables": {}, "coding_map": {}},
        **{"behaviors_coding_map": [], "converters": {}},
    }
    write_json(path, project)


def write_events(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """Write bouts as BORIS writes its tabular events: a row where each starts, and where it stops.

    The observation is the video, the subject a bout's actor and track ('dog 3'), the behaviour its
    action. Cells are separated by tabs if the path ends in .tsv.

    Source: olivierfriard/BORIS, `boris/export_observation.py`, `export_tabular_events`.
    """
    rows: list[tuple] = [_TABULAR]
    for each in predictions:
        facts, images = each.facts, each.facts.images is not None
        length, fps = ("NA" if images else f"{n:.3f}" for n in (facts.seconds, facts.fps))
        source = facts.name if images else f"player #1:{facts.name}"
        kind = "From directories of images" if images else "Media file(s)"
        video = (each.name, "", "", f"{facts.seconds:.3f}", kind, source, 0, length, fps)
        media = "NA" if images else facts.name
        for time, starts, subject, action in _events(each):
            cells = (subject, action, "", "START" if starts else "STOP", f"{time:.3f}")
            rows.append((*video, *cells, media, "NA", "NA", ""))
    write_csv(path, rows, "\t" if os.fspath(path).lower().endswith(".tsv") else ",")
