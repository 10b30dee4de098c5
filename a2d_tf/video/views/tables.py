"""The tables of predictions: time budget, transitions, events for BORIS."""

from __future__ import annotations

import dataclasses
import math
import operator
import os
import pathlib
from collections.abc import Iterable, Sequence

from a2d_tf.annotations.tracked_video import name_of
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import is_file_name, write_csv, write_json
from a2d_tf.video.predictions import Facts, read_facts
from a2d_tf.video.views import bouts

TIME_BUDGET = "time_budget.csv"
VIDEO = ("video", "video_seconds", "fps", "individual")
"""First columns of the tables of several videos."""
_BUDGET = ("actor", "action", "seconds", "share", "bouts", "first_second", "mean_bout_seconds")
_BORIS = (
    *("Observation id", "Observation date", "Description", "Observation duration"),
    *("Observation type", "Source", "Time offset (s)", "Media duration (s)", "FPS"),
    *("Subject", "Behavior", "Behavioral category", "Behavior type", "Time"),
    *("Media file name", "Image index", "Image file path", "Comment"),
)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A prediction by the name of its video: its facts, and its tracks in order of their starts."""

    name: str
    facts: Facts
    tracks: list[bouts.Track]


def read(folders: Iterable[str | os.PathLike], min_score: float = 0.0) -> list[Prediction]:
    """Read predictions of different videos; tracks below a mean score are left out.

    Raises:
      InputError: a file is missing or damaged, or two predictions are of videos of one name.
    """
    seen: dict[str, pathlib.Path] = {}
    found = []
    for folder in map(pathlib.Path, folders):
        facts = read_facts(folder)
        name = name_of(facts.name, facts.images)
        if name in seen or not is_file_name(name):
            problem = f"as {seen[name]} is; give one of them" if name in seen else "no file's name"
            raise InputError(f"{folder}: is of a video named {shown(name)}, {problem}")
        seen[name] = folder
        found.append(Prediction(name, facts, bouts.read(folder, min_score)))
    return found


def of_video(name: str, facts: Facts, track: int | str) -> tuple:
    """Return the cells of `VIDEO`; `individual` is no other track's in any video."""
    return name, round(facts.seconds, 3), round(facts.fps, 3), f"{name}_{track}"


def time_budget(predictions: Iterable[Prediction]) -> list[tuple]:
    """Return rows of `VIDEO` and `_BUDGET`, one for each action of each track.

    A share is of the time in which the track was followed, 0 to 1.
    """
    rows = []
    for each in predictions:
        for track in each.tracks:
            added = bouts.sums([track], operator.attrgetter("action"))
            whole = math.fsum(own.seconds for own in added.values()) or 1
            video = of_video(each.name, each.facts, track.number)
            for action, own in added.items():
                numbers = (round(own.seconds, 3), round(own.seconds / whole, 4), own.bouts)
                mean = round(own.seconds / own.bouts, 3)
                rows.append((*video, track.actor, action, *numbers, own.start, mean))
    return rows


def write_time_budget(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """Write the rows of `time_budget` below the names of their columns."""
    write_csv(path, [(*VIDEO, *_BUDGET), *time_budget(predictions)])


def transitions(predictions: Iterable[Prediction], actions: Sequence[str]) -> list[list[int]]:
    """Count how often a track went from one action (row) to another (column).

    Bouts that differ in the actor alone are one, so that the diagonal is 0.
    """
    counts = [[0] * len(actions) for _ in actions]
    for track in (track for each in predictions for track in each.tracks):
        for before, after in zip(track.bouts, track.bouts[1:]):
            if before.action != after.action:
                counts[actions.index(before.action)][actions.index(after.action)] += 1
    return counts


def _events(prediction):
    """(second, whether a bout starts there, subject, action) of starts and stops, in order.

    Where one bout follows another, the first stops before the next starts.
    """
    return sorted(
        event
        for track in prediction.tracks
        for bout in track.bouts
        for event in (
            (bout.start, 1, f"{track.actor} {track.number}", bout.action),
            (bout.end, 0, f"{track.actor} {track.number}", bout.action),
        )
    )


def write_boris_project(path: str | os.PathLike, predictions: Sequence[Prediction]) -> None:
    """Write a project that BORIS opens, or imports observations from: one for each video.

    Subjects and behaviours are those of `write_boris`. BORIS toggles a state at each of its events.

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
            **{"date": "1970-01-01T00:00:00", "description": "", "time offset": 0.0},
            **{"independent_variables": {}, "close_behaviors_between_videos": False},
            "events": [[time, who, what, "", ""] for time, _, who, what in events[each.name]],
        }
    project = {
        **{"time_format": "s", "project_date": "1970-01-01T00:00:00", "project_name": "a2d_tf"},
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


def write_boris(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """Write bouts as BORIS writes its tabular events: a row where each starts, and where it stops.

    The observation is the video, the subject a track ('dog 3'), the behaviour its action. Cells are
    separated by tabs if the path ends in .tsv.

    Source: olivierfriard/BORIS, `boris/export_observation.py`, `export_tabular_events`.
    """
    rows: list[tuple] = [_BORIS]
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
