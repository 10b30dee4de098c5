"""Reader of the two tables that BORIS exports: tabular and aggregated events.

Source: olivierfriard/BORIS, `boris/export_observation.py` (`export_tabular_events`) and
`boris/export_events.py` (`export_aggregated_events`), format 7.0. Its times have the
observation's offset added.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable

from a2d_tf.annotations.coded_times.observations import (
    CodedBout,
    Observation,
    check_order,
)
from a2d_tf.annotations.coded_times.readers.boris_values import (
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
from a2d_tf.annotations.coded_times.readers.event_tables import Line
from a2d_tf.annotations.documents.conventions import BORIS
from a2d_tf.core.errors import InputError

AGGREGATED = ("Observation id", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
"""Columns of aggregated events."""
TABULAR = ("Observation id", "Behavior", "Behavior type", "Time")
"""Columns of tabular events."""
_OFFSET = "Time offset (s)"
_MEDIA = ("Media file name", "Media file", "Source")  # by version of BORIS
_DURATION = "Media duration (s)"
_RATES = ("FPS", "FPS (frame/s)")  # of tabular and of aggregated events
_NO_TIME = (*BORIS.blanks, "NaN", "nan")


def of_aggregated_events(lines: Iterable[Line]) -> list[Observation]:
    """Return the observations of BORIS's aggregated events, a line for each bout.

    Args:
      lines: the lines of the table, which has the columns `AGGREGATED`.

    Returns:
      the codings of videos, in the order of their first lines.

    Raises:
      InputError: a cell is malformed, a bout ends before it starts, or an observation
        has several videos.
    """
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


def of_tabular_events(lines: Iterable[Line]) -> list[Observation]:
    """Return the observations of BORIS's tabular events, a line for each start or stop.

    Args:
      lines: the lines of the table, which has the columns `TABULAR`.

    Returns:
      the codings of videos, in the order of their first lines.

    Raises:
      InputError: a cell is malformed, a start has no stop, or an observation has
        several videos.
    """
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


def _observation_of(line: Line, observations: dict[str, Observation]) -> Observation:
    """Return the observation of a line; add it if the line is its first one.

    Args:
      observations: {name: observation} of the lines before.

    Raises:
      InputError: the line is of another video than the lines before it.
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


def _counts_images(line: Line) -> bool:
    """Return whether the times of an event are indices of images, not seconds.

    BORIS writes seconds for images only if they are a time lapse or have EXIF times,
    and then by the camera's clock. For videos it writes seconds and the index of the
    frame.
    """
    indices = [line.cells.get("Image index"), line.cells.get("Image index start")]
    if all(index is None or index in BORIS.blanks for index in indices):
        return False
    kind = line.cells.get("Observation type", "")
    if kind:
        return "images" in kind
    times = [line.cells.get("Time", ""), line.cells.get("Start (s)", "")]
    return all(time in _NO_TIME for time in times)


def _modifiers(line: Line) -> tuple[str, ...]:
    """Return the modifiers of an event; a modifier that is not set is ''."""
    return tuple(line.cells[column] for column in line.cells if "Modifier" in column)


def _second(line: Line, column: str) -> float:
    """Return the second in the video that a cell of a line states."""
    return second_in_video(
        line.cells[column], line.cells.get(_OFFSET), column, line.where
    )


def _index(line: Line, column: str) -> float:
    """Return the index of an image, from 1, that a cell of a line states."""
    return image_index(line.cells.get(column), column, line.where)
