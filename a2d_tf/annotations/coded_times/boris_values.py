"""What BORIS writes in its tables and projects: events, media, times and names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from a2d_tf.annotations.coded_times.observations import CodedBout, check_order
from a2d_tf.annotations.conventions import BORIS
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import is_name, normalized
from a2d_tf.data.video_frames import VIDEOS

SEVERAL_VIDEOS = "observation spans several videos; split it"


class Event(NamedTuple):
    """An event of BORIS.

    Attributes:
      kind: START, STOP, POINT, or STATE, which is either a start or a stop.
      modifiers: as in the file; start and stop of a bout have the same.
      time: second in the video, or the index of an image, from 1.
      where: the file and the place in it, for errors.
      image: name of the image; None if the event has a second.
    """

    kind: str
    subject: str
    action: str
    modifiers: tuple[str, ...]
    time: float
    where: str
    image: str | None = None


class Media(NamedTuple):
    """The video of an observation; see the attributes of `Observation`."""

    video: str
    folder: str = ""


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
    bout = CodedBout(
        subject=stop.subject,
        action=stop.action,
        start=start.time,
        end=stop.time,
        where=stop.where,
        start_image=start.image,
        end_image=stop.image,
    )
    check_order(bout)
    return bout


def _unpaired(event: Event, problem: str) -> InputError:
    name = f"{quoted(event.action)} of {quoted(event.subject)}"
    return InputError(
        f"{event.where}: {name}{problem}; check the state events in BORIS"
    )


def media_of(paths: Sequence[str], observation: str, where: str) -> Media:
    """Return the video of an observation: its file, else it is named like it.

    Args:
      paths: its files as BORIS writes them: '/a/clip1.mp4', or for two cameras 'player
        #1:clip1.mp4|player #2:clip2.mp4', of which the first counts.

    Raises:
      InputError: there are several, one after the other.
    """
    path = _only_path(paths, where)
    folder, _, file_name = path.rpartition("/")
    stem, dot, _ = file_name.rpartition(".")
    if stem and dot:
        return Media(stem, folder)
    if file_name:
        return Media(file_name, folder)
    stem, dot, suffix = observation.rpartition(".")
    if stem and f"{dot}{suffix}".lower() in VIDEOS:
        return Media(stem)
    return Media(observation)


def images_of(folders: Sequence[str], observation: str, where: str) -> Media:
    """Return the folder of images of an observation, which is named as a whole.

    Args:
      folders: its folders as BORIS writes them.

    Raises:
      InputError: there are several.
    """
    path = _only_path(folders, where).rstrip("/")
    folder, _, name = path.rpartition("/")
    return Media(name or observation, folder)


def _only_path(paths: Sequence[str], where: str) -> str:
    """Return the first of the given paths, with slashes; '' if there is none."""
    first_of_players = []
    for text in paths:
        first = re.sub(r"^player #\d+:", "", text).partition("|")[0]
        if first not in BORIS.blanks:
            first_of_players.append(first)
    if any(";" in path for path in first_of_players):
        raise InputError(f"{where}: {SEVERAL_VIDEOS}")
    if not first_of_players:
        return ""
    return first_of_players[0].replace("\\", "/")


def subject_name(text: str | None) -> str:
    """Return a subject without spaces around it; '' for no one in particular.

    Accents are composed, as in `names`.
    """
    if text is None or text in BORIS.blanks:
        return ""
    return normalized(text)


def action_name(text: str, where: str) -> str:
    """Return a behaviour without spaces around it; InputError if it is no name.

    Accents are composed, as in `names`.
    """
    name = normalized(text)
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
    second = _seconds(time, column, where)
    if offset:
        second -= _seconds(offset, "time offset", where)
    return second


def _seconds(value: Any, field: str, where: str) -> float:
    """Return a number of seconds; InputError if it is none, or too large."""
    try:
        second = float(value)
        if abs(second) < 1e9:
            return second
    except (OverflowError, TypeError, ValueError):
        pass
    raise InputError(
        f"{where}: {field}: {quoted(value)} is not a time; expected seconds"
    )


def image_index(value: Any, column: str, where: str) -> float:
    """Return the index of an image, from 1; InputError if it is none."""
    try:
        index = float(value)  # BORIS writes 3 or 3.0
        if index >= 1 and index.is_integer():
            return index
    except (OverflowError, TypeError, ValueError):
        pass
    raise InputError(
        f"{where}: {column}: {quoted(value)} is not the index of an image; export the"
        " events again"
    )


def image_name(path: Any) -> str | None:
    """Return the file name in the path of an image; None if none is given."""
    if not isinstance(path, str) or path in BORIS.blanks:
        return None
    return re.split(r"[\\/]", path)[-1]


def stated_number(value: Any) -> float | None:
    """Return a rate, or a duration, as BORIS writes it; None if it does not say.

    It writes '30.000', or '30.000|25.000' for two cameras, of which the first counts.
    """
    try:
        number = float(str(value).partition("|")[0])
    except ValueError:
        return None
    return number if 0 < number < math.inf else None
