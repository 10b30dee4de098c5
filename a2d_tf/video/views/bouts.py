"""Who did what from when to when in predictions: read, added up, and written as tables.

A bout is a period in which a track does one thing, as ethology calls it (Martin and Bateson,
Measuring Behaviour). The tables are the time budget, transitions, and events for BORIS.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import operator
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from a2d_tf.annotations.tracked_video import name_of
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import is_file_name, number, whole, write_csv, write_json
from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops import visualize
from a2d_tf.video.predictions import SECONDS, Facts, read_facts, read_tracks

# Those of Okabe and Ito (Color Universal Design, 2008), which the colour-blind can tell apart, but
# for black; and two more.
_FIRST = (
    *("#e69f00", "#56b4e9", "#009e73", "#e3cf25", "#0072b2", "#d55e00", "#cc79a7"),
    *("#7b5ea7", "#8c6a4a"),
)
_NONE = "#8f979e"
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

_Key = TypeVar("_Key")
_BOUT = {  # fields of a bout in `tracks.json`, in the order of those of `Bout`
    "actor": str,
    "action": str,
    "start_second": SECONDS,
    "end_second": SECONDS,
    "mean_score": number(0, 1),
}
_TRACK = {"track_id": whole(1), "actor": str, "mean_score": number(0, 1), "actions": [_BOUT]}


@dataclasses.dataclass(frozen=True)
class Bout:
    """An action of a track.

    Attributes:
      start, end: seconds in the video.
      score: mean p(actor) p(action) of its frames.
    """

    actor: str
    action: str
    start: float
    end: float
    score: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


@dataclasses.dataclass(frozen=True)
class Track:
    """An actor while it is followed.

    Attributes:
      number: its id in the video.
      actor: what it was in most frames.
      bouts: at least one, in order of time.
    """

    number: int
    actor: str
    bouts: tuple[Bout, ...]


def read(folder: str | os.PathLike, min_score: float = 0.0) -> list[Track]:
    """Read the tracks of a prediction, in the order of their starts.

    Args:
      folder: of `a2d_tf.predict`, with a `tracks.json`.
      min_score: tracks with a lower mean score are left out.

    Raises:
      InputError: the file is missing, or names the field that is missing or malformed.
    """
    # Without the rows of single frames, which are nearly all of a long video's file.
    rows = read_tracks(folder, _TRACK, lambda row: None if "bbox" in row else row)
    tracks = []
    for row in rows:
        if row["mean_score"] < min_score:
            continue
        found = tuple(Bout(*(bout[name] for name in _BOUT)) for bout in row["actions"])
        tracks.append(Track(row["track_id"], row["actor"], found))
    return sorted(tracks, key=lambda track: (track.bouts[0].start, track.number))


class Sum(NamedTuple):
    """What bouts come to.

    Attributes:
      tracks, bouts: how many there are.
      seconds: how long they last together.
      start: where the first one starts, seconds in the video.
      score: the mean of their scores, weighted by their seconds.
    """

    tracks: int
    bouts: int
    seconds: float
    start: float
    score: float


def sums(tracks: Iterable[Track], key: Callable[[Bout], _Key]) -> dict[_Key, Sum]:
    """Add up the bouts of tracks for each key, in the order of their first bouts."""
    found = collections.defaultdict(list)
    for track in tracks:
        for bout in track.bouts:
            found[key(bout)].append((track, bout))
    added = {}
    for name, own in found.items():
        seconds = math.fsum(bout.seconds for _, bout in own)
        score = math.fsum(bout.seconds * bout.score for _, bout in own) / (seconds or 1)
        start = min(bout.start for _, bout in own)
        added[name] = Sum(len({id(track) for track, _ in own}), len(own), seconds, start, score)
    return added


def colours(names: Iterable[str], labels: LabelSpace | None = None) -> dict[str, str]:
    """Colour actions, alike on every page of a label space.

    Args:
      names: those that occur.
      labels: gives the order; None: that of the alphabet.

    Returns:
      {name: '#rrggbb'} of the actions that occur, in that order.
    """
    found, known = set(names), labels.actions if labels else ()
    shades: dict[str | None, str] = {}
    for i, name in enumerate([*known, *sorted(found - set(known))]):
        more = "#" + visualize.track_colours([i]).tobytes().hex()
        shades[name] = _FIRST[i] if i < len(_FIRST) else more
    if labels:
        shades[labels.none_action] = _NONE
    return {name: colour for name, colour in shades.items() if name in found}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """A prediction by the name of its video: its facts, and its tracks in order of their starts."""

    name: str
    facts: Facts
    tracks: list[Track]


def read_all(folders: Iterable[str | os.PathLike], min_score: float = 0.0) -> list[Prediction]:
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
        found.append(Prediction(name, facts, read(folder, min_score)))
    return found


def of_video(name: str, facts: Facts, track: int | str) -> tuple:
    """Return the cells of `VIDEO`; `individual` is no other track's in any video."""
    return name, round(facts.seconds, 3), round(facts.fps, 3), f"{name}_{track}"


def write_time_budget(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """Write a CSV of `VIDEO` and `_BUDGET` with a row for each action of each track.

    A share is of the time in which the track was followed, 0 to 1.
    """
    rows: list[tuple] = [(*VIDEO, *_BUDGET)]
    for each in predictions:
        for track in each.tracks:
            added = sums([track], operator.attrgetter("action"))
            whole = math.fsum(own.seconds for own in added.values()) or 1
            video = of_video(each.name, each.facts, track.number)
            for action, own in added.items():
                numbers = (round(own.seconds, 3), round(own.seconds / whole, 4), own.bouts)
                mean = round(own.seconds / own.bouts, 3)
                rows.append((*video, track.actor, action, *numbers, own.start, mean))
    write_csv(path, rows)


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
