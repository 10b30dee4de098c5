"""Who did what from when to when, read back from the `tracks.json` of a prediction.

A bout is a period in which a track does one thing, as ethology calls it (Martin and Bateson,
Measuring Behaviour).
"""

from __future__ import annotations

import collections
import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import read_json
from a2d_tf.core.labels import is_name

_REMEDY = "predict the video again"


@dataclasses.dataclass(frozen=True)
class Bout:
    """An action of a track.

    Attributes:
      actor, action: names.
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
      last: 1-based number of its last frame in the video.
    """

    number: int
    actor: str
    bouts: tuple[Bout, ...]
    last: int

    @property
    def start(self) -> float:
        """Where its first bout starts, seconds in the video."""
        return self.bouts[0].start

    @property
    def end(self) -> float:
        """Where its last bout ends, seconds in the video."""
        return self.bouts[-1].end


def read(folder: str | os.PathLike) -> list[Track]:
    """Read the tracks of a prediction, in the order of their starts.

    Args:
      folder: of `a2d_tf.predict`, with a `tracks.json`.

    Raises:
      InputError: the file is missing, or names the field that is missing or malformed.
    """
    path = pathlib.Path(folder, "tracks.json")
    try:
        listed = _by_line(path) or read_json(path, _without_frames)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; {_REMEDY}, with its tracks") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error}); {_REMEDY}") from error
    if not isinstance(listed, list):
        raise InputError(f"{path}: no list of tracks; {_REMEDY}")
    tracks = [_track(fields, f"{path}: [{i}]") for i, fields in enumerate(listed)]
    return sorted(tracks, key=lambda track: (track.start, track.number))


def _by_line(path):
    """Read a file that has a track in each line, as predictions do; None of any other.

    A long video's file, read as a whole, takes twice its size in memory.
    """
    tracks, text = [], ""
    with open(path, encoding="utf-8") as file:
        if file.readline() != "[\n":
            return None
        for line in file:
            text, before = line.rstrip(), text
            if text == "]":
                break
            try:
                tracks.append(json.loads(text.rstrip(","), object_hook=_without_frames))
            except (ValueError, RecursionError):
                return None
            if len(tracks) > 1 and not before.endswith(","):
                return None
        ends = text == "]" and not file.read().strip()
    return tracks if ends else None


def _without_frames(fields):
    """Drop the rows of single frames, which are nearly all of a long video's file."""
    return None if "bbox" in fields else fields


def _track(fields: Any, where: str) -> Track:
    actions = _field(fields, "actions", where, lambda x: isinstance(x, list) and x, "a list")
    bouts = tuple(_bout(row, f"{where}: actions[{i}]") for i, row in enumerate(actions))
    return Track(
        _field(fields, "track_id", where, _is_count, "a number from 1 on"),
        _field(fields, "actor", where, is_name, "a name"),
        tuple(sorted(bouts, key=lambda bout: bout.start)),
        _field(fields, "end_frame", where, _is_count, "a number from 1 on"),
    )


def _bout(fields: Any, where: str) -> Bout:
    start = _field(fields, "start_second", where, _is_time, "seconds")
    end = _field(fields, "end_second", where, _is_time, "seconds")
    if end < start:
        raise InputError(f"{where}: 'end_second' {end:g} is before its start, {start:g}; {_REMEDY}")
    return Bout(
        _field(fields, "actor", where, is_name, "a name"),
        _field(fields, "action", where, is_name, "a name"),
        float(start),
        float(end),
        float(_field(fields, "mean_score", where, _is_score, "a number in 0..1")),
    )


def _field(fields, name, where, is_valid, meaning):
    if not isinstance(fields, dict) or name not in fields:
        raise InputError(f"{where}: '{name}' is missing; {_REMEDY}")
    if not is_valid(fields[name]):
        raise InputError(f"{where}: '{name}' is {shown(fields[name])}, not {meaning}; {_REMEDY}")
    return fields[name]


def _is_count(value):
    return type(value) is int and value >= 1


def _is_time(value):
    return type(value) in (int, float) and 0 <= value < 1e9


def _is_score(value):
    return type(value) in (int, float) and 0 <= value <= 1


def rate_of(tracks: Iterable[Track]) -> float | None:
    """Frames a second of the video; None where there are no tracks.

    A track's last frame ends at its number over the rate, which is least wrong where it is late.
    """
    last = max(tracks, key=lambda track: track.end, default=None)
    return last.last / last.end if last and last.end > 0 else None


def time_budget(tracks: Iterable[Track]) -> dict[tuple[str, str], float]:
    """{(actor, action): seconds}, summed over the bouts of all tracks."""
    # fsum, so that the order of the tracks does not show.
    spans = collections.defaultdict(list)
    for track in tracks:
        for bout in track.bouts:
            spans[bout.actor, bout.action].append(bout.seconds)
    return {pair: math.fsum(seconds) for pair, seconds in sorted(spans.items())}


def transitions(
    tracks: Iterable[Track], actions: list[str], actor: str | None = None
) -> np.ndarray:
    """Count how often a track went from one action to another.

    Args:
      tracks: the tracks.
      actions: names of the rows and columns; all that occur.
      actor: what the track is called in the bout that it leaves; None for all.

    Returns:
      int [A, A], from row to column. Bouts that differ in the actor alone are one bout, so that the
      diagonal is 0.
    """
    index = {name: i for i, name in enumerate(actions)}
    counts = np.zeros((len(actions), len(actions)), int)
    for track in tracks:
        for before, after in zip(track.bouts, track.bouts[1:]):
            if before.action != after.action and actor in (None, before.actor):
                counts[index[before.action], index[after.action]] += 1
    return counts
