"""Who did what from when to when in predictions: read, added up, and written as a time
budget.

A bout is a period in which a track does one thing, as ethology calls it (Martin and
Bateson, Measuring Behaviour).
"""

from __future__ import annotations

import collections
import math
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2d_tf.annotations.tracked_video import name_of
from a2d_tf.behaviour.predictions import SECONDS, Facts, read_facts, read_tracks
from a2d_tf.core.checked_json import number, whole
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.core.labels import LabelSpace
from a2d_tf.ops import visualize

TIME_BUDGET = "time_budget.csv"
VIDEO = ("video", "video_seconds", "fps", "individual")
"""First columns of the tables of several videos; an individual is VIDEO_TRACK."""
_BUDGET = (
    "actor",
    "action",
    "seconds",
    "share",
    "bouts",
    "first_second",
    "mean_bout_seconds",
)
BUDGET = (*VIDEO, *_BUDGET)
"""Columns of the time budget."""
# Those of Okabe and Ito (Color Universal Design, 2008), which the colour-blind can tell
# apart, but for black; and two more.
_FIRST = (
    *("#e69f00", "#56b4e9", "#009e73", "#e3cf25", "#0072b2", "#d55e00", "#cc79a7"),
    *("#7b5ea7", "#8c6a4a"),
)
_NONE = "#8f979e"
_BOUT = {  # fields of a bout in `tracks.json`, in the order of those of `Bout`
    "actor": str,
    "action": str,
    "start_second": SECONDS,
    "end_second": SECONDS,
    "mean_score": number(0, 1),
}
_TRACK = {
    "track_id": whole(1),
    "actor": str,
    "mean_score": number(0, 1),
    "actions": [_BOUT],
}


class Bout(NamedTuple):
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


class TrackBouts(NamedTuple):
    """An actor while it is followed.

    Attributes:
      number: its id in the video.
      actor: what it was in most frames; a bout has its own.
      score: mean over its frames.
      bouts: at least one, in order of time.
    """

    number: int
    actor: str
    score: float
    bouts: tuple[Bout, ...]


def read(folder: str | os.PathLike, min_score: float = 0.0) -> list[TrackBouts]:
    """Read the tracks of a prediction, in the order of their starts.

    Args:
      folder: of `a2d predict`, with a `tracks.json`.
      min_score: tracks with a lower mean score are left out.

    Raises:
      InputError: the file is missing, or names the field that is missing or malformed.
    """
    # Without the rows of single frames, which are nearly all of a long video's file.
    rows = read_tracks(folder, _TRACK, lambda row: None if "bbox" in row else row)
    tracks = []
    for row in (row for row in rows if row["mean_score"] >= min_score):
        if not row["actions"]:
            problem = f"track {row['track_id']} has no actions; predict the video again"
            raise InputError(f"{pathlib.Path(folder, 'tracks.json')}: {problem}")
        found = tuple(Bout(*(bout[name] for name in _BOUT)) for bout in row["actions"])
        tracks.append(
            TrackBouts(row["track_id"], row["actor"], row["mean_score"], found)
        )
    return sorted(tracks, key=lambda track: (track.bouts[0].start, track.number))


class Sum(NamedTuple):
    """What bouts come to.

    Attributes:
      bouts: how many there are.
      seconds: how long they last together.
      start: where the first one starts, seconds in the video.
      score: the mean of their scores, weighted by their seconds.
    """

    bouts: int
    seconds: float
    start: float
    score: float


def sums(tracks: Iterable[TrackBouts]) -> dict[tuple[str, str], Sum]:
    """Add up the bouts of tracks for each actor and action, in the order of their
    first bouts.
    """
    found = collections.defaultdict(list)
    for bout in (bout for track in tracks for bout in track.bouts):
        found[bout.actor, bout.action].append(bout)
    added = {}
    for pair, own in found.items():
        seconds = math.fsum(bout.seconds for bout in own)
        score = math.fsum(bout.seconds * bout.score for bout in own) / (seconds or 1)
        added[pair] = Sum(len(own), seconds, min(bout.start for bout in own), score)
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


class Prediction(NamedTuple):
    """A prediction by the name of its video: its facts, and its tracks in order of
    their starts.
    """

    name: str
    facts: Facts
    tracks: list[TrackBouts]


def read_all(
    folders: Iterable[str | os.PathLike], min_score: float = 0.0
) -> list[Prediction]:
    """Read predictions of different videos; tracks below a mean score are left out.

    Raises:
      InputError: a file is missing or damaged, or two predictions are of videos of one
        name.
    """
    seen: dict[str, pathlib.Path] = {}
    found = []
    for folder in map(pathlib.Path, folders):
        facts = read_facts(folder)
        name = name_of(facts.name, facts.images)
        if name in seen or not is_file_name(name):
            problem = (
                f"as in {seen[name]}; pass only one"
                if name in seen
                else "not a file name"
            )
            raise InputError(f"{folder}: the video is named {quoted(name)}, {problem}")
        seen[name] = folder
        found.append(Prediction(name, facts, read(folder, min_score)))
    return found


def time_budget(predictions: Iterable[Prediction]) -> list[tuple]:
    """Return a row of `BUDGET` for each actor and action of each track.

    A share is of the time in which the track was followed, 0 to 1.
    """
    rows: list[tuple] = []
    for each in predictions:
        for track in each.tracks:
            added = sums([track])
            whole = math.fsum(own.seconds for own in added.values()) or 1
            video = (each.name, *each.facts.cells, f"{each.name}_{track.number}")
            for pair, own in added.items():
                numbers = (
                    round(own.seconds, 3),
                    round(own.seconds / whole, 4),
                    own.bouts,
                )
                mean = round(own.seconds / own.bouts, 3)
                rows.append((*video, *pair, *numbers, own.start, mean))
    return rows


def transitions(
    predictions: Iterable[Prediction], actions: Sequence[str]
) -> list[list[int]]:
    """Count how often a track went from one action (row) to another (column).

    Bouts that differ in the actor alone are one, so that the diagonal is 0.
    """
    counts = [[0] * len(actions) for _ in actions]
    for track in (track for each in predictions for track in each.tracks):
        for before, after in zip(track.bouts, track.bouts[1:]):
            if before.action != after.action:
                counts[actions.index(before.action)][actions.index(after.action)] += 1
    return counts
