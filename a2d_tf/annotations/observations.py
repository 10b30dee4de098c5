"""Observations: who was coded to do what from when to when in a video."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import is_name

NOT_GIVEN = (None, "", "NA", "Not found")
"""What BORIS writes in place of a subject or a file."""
SEVERAL_VIDEOS = "observation spans several videos; split it"


class CodedBout(NamedTuple):
    """What a subject does from a second of the video to another.

    Attributes:
      subject: '' for no one in particular.
      start, end: seconds in the video; the same of a point event.
      where: the file and the place in it, for errors.
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
    bouts: list[CodedBout] = dataclasses.field(default_factory=list)
    modifiers: int = 0


class Event(NamedTuple):
    """An event of BORIS.

    Attributes:
      kind: START, STOP, POINT, or STATE, which is either a start or a stop.
      modifiers: as in the file; start and stop of a bout have the same.
      second: in the video.
      where: the file and the place in it, for errors.
    """

    kind: str
    subject: str
    action: str
    modifiers: tuple[str, ...]
    second: float
    where: str


def bouts_of_events(events: Iterable[Event]) -> list[CodedBout]:
    """Return the bouts between starts and stops, in the order of the stops.

    Raises:
      InputError: a start has no stop, or a stop no start.
    """
    starts: dict[tuple, Event] = {}
    bouts = []
    for event in events:
        key = (event.subject, event.action, event.modifiers)
        if event.kind == "POINT":
            bouts.append(_bout_between(event, event))
        elif event.kind != "START" and key in starts:
            bouts.append(_bout_between(starts.pop(key), event))
        elif event.kind != "STOP" and key not in starts:
            starts[key] = event
        else:
            raise _unpaired(event, f": {event.kind} without the other")
    if starts:
        raise _unpaired(next(iter(starts.values())), " does not stop")
    return bouts


def _bout_between(start: Event, stop: Event) -> CodedBout:
    return coded_bout(
        stop.subject, stop.action, start.second, stop.second, where=stop.where
    )


def _unpaired(event: Event, problem: str) -> InputError:
    name = f"{quoted(event.action)} of {quoted(event.subject)}"
    return InputError(
        f"{event.where}: {name}{problem}; check the state events in BORIS"
    )


def coded_bout(
    subject: str, action: str, start: float, end: float, where: str
) -> CodedBout:
    """Return a bout; InputError if it stops before it starts."""
    if end < start:
        raise InputError(
            f"{where}: stops at {end:.3f} s, before it starts at {start:.3f} s"
        )
    return CodedBout(subject, action, start, end, where)


def check_coders(observations: Iterable[Observation]) -> None:
    """Raise InputError if two observations of a video code one subject.

    Two coders do so, each in an observation of his own.
    """
    coded_in: dict[tuple[str, str], str] = {}
    for observation in observations:
        for subject in sorted({bout.subject for bout in observation.bouts}):
            key = (observation.video, subject)
            other = coded_in.setdefault(key, observation.name)
            if other != observation.name:
                raise InputError(
                    f"{observation.bouts[0].where}: observations {quoted(other)} and"
                    f" {quoted(observation.name)} both code {quoted(subject)} in"
                    f" '{observation.video}'; pass one of them"
                )


def video_name(media: Sequence[str], observation: str, where: str) -> str:
    """Return the name of the video of an observation: of its file, else its own.

    Args:
      media: its files as BORIS writes them: '/a/clip1.mp4', or for two cameras 'player
        #1:clip1.mp4|player #2:clip2.mp4', of which the first counts.

    Raises:
      InputError: there are several, one after the other.
    """
    files = []
    for text in media:
        files.append(re.sub(r"^player #\d+:", "", text).partition("|")[0])
    if any(";" in file for file in files):
        raise InputError(f"{where}: {SEVERAL_VIDEOS}")
    if not files:
        return observation
    file_name = re.split(r"[\\/]", files[0])[-1]
    return os.path.splitext(file_name)[0] or observation


def subject_name(text: str | None) -> str:
    """Return a subject without spaces around it; '' for no one in particular."""
    if text is None or text in NOT_GIVEN or text == "No focal subject":
        return ""
    return text.strip()


def action_name(text: str, where: str) -> str:
    """Return a behaviour without spaces around it; InputError if it is no name."""
    name = text.strip()
    if not is_name(name):
        raise InputError(
            f"{where}: behaviour {quoted(text)} is not a valid name; rename it"
        )
    return name


def second_in_video(time: Any, offset: Any, column: str, where: str) -> float:
    """Return a time without the observation's offset.

    Raises:
      InputError: either is not a number, or the result is too large; names the column.
    """
    try:
        second = float(time) - float(offset or 0)
        if abs(second) < 1e9:
            return second
    except (OverflowError, TypeError, ValueError):
        pass
    raise InputError(
        f"{where}: {column}: {quoted(time)} is not a time; expected seconds"
    )
