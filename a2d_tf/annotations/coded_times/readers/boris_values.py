"""Values in BORIS's tables and projects: events, media, times and names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from a2d_tf.annotations.coded_times.observations import CodedBout, check_order
from a2d_tf.annotations.documents.conventions import BORIS
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.labels import is_name, normalized
from a2d_tf.data.decoding.video_paths import VIDEOS

SEVERAL_VIDEOS = "observation spans several videos; split it"


class Event(NamedTuple):
    """An event of BORIS: the start or the stop of a behaviour, or a point in time.

    Attributes:
      kind: START, STOP, POINT, or STATE, which is either a start or a stop.
      subject: the name of the subject; '' for no one in particular.
      action: the name of the behaviour.
      modifiers: the modifiers as in the file; a start and its stop have equal ones.
      time: the second in the video, or the index of an image, from 1.
      where: the file and the place in it, for errors.
      image: the file name of the image; None if the event has a second, or if the file
        names no image.
    """

    kind: str
    subject: str
    action: str
    modifiers: tuple[str, ...]
    time: float
    where: str
    image: str | None = None


class Media(NamedTuple):
    """The video of an observation.

    Attributes:
      video: the name of the video: its file's without suffix, or that of its folder of
        images.
      folder: the path of the folder that holds the file or the folder of images; '' if
        the file does not say.
    """

    video: str
    folder: str = ""


def bouts_of_events(events: Iterable[Event]) -> list[CodedBout]:
    """Pair the starts of behaviours with their stops.

    Args:
      events: the events of one observation, in the order of the file.

    Returns:
      the bouts in the order of the stops; a point event is a bout without length.

    Raises:
      InputError: a start has no stop, a stop no start, or a stop is before its start.
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
            raise _unpaired_error(event, f": {event.kind} without the other")
    if starts:
        raise _unpaired_error(next(iter(starts.values())), " does not stop")
    return bouts


def _bout_between(start: Event, stop: Event) -> CodedBout:
    """Return the bout between two events; InputError if it stops before it starts."""
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


def _unpaired_error(event: Event, problem: str) -> InputError:
    """Return the error that a start has no stop, or a stop no start."""
    name = f"{quoted(event.action)} of {quoted(event.subject)}"
    return InputError(
        f"{event.where}: {name}{problem}; check the state events in BORIS"
    )


def media_of(paths: Sequence[str], observation: str, where: str) -> Media:
    """Return the video of an observation that was coded from a video file.

    If BORIS names no file, the video has the name of the observation.

    Args:
      paths: the files as BORIS writes them: '/a/clip1.mp4', or for two cameras 'player
        #1:clip1.mp4|player #2:clip2.mp4', of which the first counts.
      observation: the name of the observation.
      where: the file and the place in it, for errors.

    Raises:
      InputError: the observation has several files, one after the other.
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
    """Return the video of an observation that was coded from a folder of images.

    Args:
      folders: the paths of folders as BORIS writes them.
      observation: the name of the observation, which the video has without a folder.
      where: the file and the place in it, for errors.

    Raises:
      InputError: the observation has several folders.
    """
    path = _only_path(folders, where).rstrip("/")
    folder, _, name = path.rpartition("/")
    return Media(name or observation, folder)


def _only_path(paths: Sequence[str], where: str) -> str:
    """Return the path that the first camera recorded; '' if BORIS states none.

    Args:
      paths: the cells or fields with paths; of several cameras, the first counts.
      where: the file and the place in it, for errors.

    Returns:
      the path with slashes instead of backslashes.

    Raises:
      InputError: a camera has several paths.
    """
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
    """Return the name of a subject without spaces around it, with composed accents.

    Args:
      text: the subject as in the file; None if the table has no such column.

    Returns:
      the name; '' for no one in particular, which BORIS calls 'No focal subject'.
    """
    if text is None or text in BORIS.blanks:
        return ""
    return normalized(text)


def action_name(text: str, where: str) -> str:
    """Return the name of a behaviour without spaces around it, with composed accents.

    Args:
      text: the behaviour as in the file.
      where: the file and the place in it, for errors.

    Raises:
      InputError: the text is not a valid name of an action.
    """
    name = normalized(text)
    if not is_name(name):
        raise InputError(
            f"{where}: behaviour {quoted(text)} is not a valid name; rename it"
        )
    return name


def second_in_video(time: Any, offset: Any, column: str, where: str) -> float:
    """Return the second in the video, which is the coded time minus the offset.

    Args:
      time: the time of the event as in the file, in seconds.
      offset: the observation's time offset as in the file, in seconds; None, '' or 0 if
        there is none.
      column: the name of the time's column, for errors.
      where: the file and the place in it, for errors.

    Raises:
      InputError: one of them is not a number, or too large.
    """
    second = _seconds(time, column, where)
    if offset:
        second -= _seconds(offset, "time offset", where)
    return second


def _seconds(value: Any, field: str, where: str) -> float:
    """Return a value as seconds; InputError if it is not a number, or too large."""
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
    """Return the index of an image that a cell or field states: a whole number from 1.

    Args:
      value: the cell or field as in the file.
      column: the name of the column, for errors.
      where: the file and the place in it, for errors.

    Raises:
      InputError: the value is no such index.
    """
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
    """Return the file name of the image that an event states.

    Args:
      path: the path of the image as in the file.

    Returns:
      the last part of the path; None if the file states no path.
    """
    if not isinstance(path, str) or path in BORIS.blanks:
        return None
    return re.split(r"[\\/]", path)[-1]


def stated_number(value: Any) -> float | None:
    """Return a rate or a duration that BORIS states, a number above 0.

    Args:
      value: the cell or field: '30.000', or for two cameras '30.000|25.000', of which
        the first counts.

    Returns:
      the number; None if the value is empty or no such number.
    """
    try:
        number = float(str(value).partition("|")[0])
    except ValueError:
        return None
    return number if 0 < number < math.inf else None
