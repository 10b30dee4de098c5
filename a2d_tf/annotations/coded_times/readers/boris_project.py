"""Reader of a BORIS project, where two events are the start and the stop of a bout.

Source: olivierfriard/BORIS, `boris/project_functions.py` (`events_start_stop`), format
7.0. Its times have the observation's offset added.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from a2d_tf.annotations.coded_times.observations import Observation
from a2d_tf.annotations.coded_times.readers.boris_values import (
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
from a2d_tf.core.checked_json import load_json, one_of
from a2d_tf.core.errors import InputError, quoted

_PROJECT = {
    "behaviors_conf": {str: {"code": str, "type": str}},
    "observations": {
        str: {
            "type?": str,
            "file": ({str: [str]}, one_of([])),
            "directories_list?": [str],
            "media_info?": {"fps?": {}, "length?": {}},
            "events": [list],
        }
    },
}
_REMEDY = "save the project again from BORIS"


def read(path: str | os.PathLike) -> list[Observation]:
    """Read the observations, codings of videos, of a BORIS project.

    Args:
      path: the .boris file.

    Raises:
      InputError: the project is malformed, a state event does not stop, or an
        observation has several videos.
    """
    project = load_json(path, _PROJECT, _REMEDY)
    types = {}
    for behaviour in project["behaviors_conf"].values():
        types[behaviour["code"]] = behaviour["type"]
    observations = []
    for name, fields in project["observations"].items():
        where = f"{path}: observations.{quoted(name)}"
        observation = _observation(path, name, fields, where)
        events = []
        for i, event_fields in enumerate(fields["events"]):
            event = _event(
                event_fields,
                offset=fields.get("time offset"),
                types=types,
                counts_images=observation.counts_images,
                where=f"{where}.events[{i}]",
            )
            if any(event.modifiers):
                observation.modifiers += 1
            events.append(event)
        observation.bouts += bouts_of_events(events)
        observations.append(observation)
    return observations


def _observation(
    path: str | os.PathLike, name: str, fields: Mapping[str, Any], where: str
) -> Observation:
    """Return an observation of a project, without its bouts."""
    counts_images = fields.get("type") == "IMAGES"
    fps = None
    seconds = None
    if counts_images:
        media = images_of([";".join(fields.get("directories_list", ()))], name, where)
    else:
        # {number of a player: the files that it plays one after the other}
        players = dict(fields["file"] or {})
        files = players.get("1", ())
        media = media_of([";".join(files)], name, where)
        media_info = fields.get("media_info", {})
        if files:
            fps = stated_number(media_info.get("fps", {}).get(files[0]))
            seconds = stated_number(media_info.get("length", {}).get(files[0]))
    return Observation(
        name,
        media.video,
        file=str(path),
        folder=media.folder,
        fps=fps,
        media_seconds=seconds,
        counts_images=counts_images,
    )


def _event(
    fields: list[Any],
    offset: Any,
    types: Mapping[str, str],
    counts_images: bool,
    where: str,
) -> Event:
    """Return the event of a list in the project.

    Args:
      fields: [time, subject, code, modifiers, comment, ...]; if the observation is of
        images, the image's index and its path follow.
      offset: the observation's time offset, in seconds; None if it has none.
      types: {code of a behaviour: its type}.
      counts_images: whether the observation is of images.
      where: the file and the place in it, for errors.

    Raises:
      InputError: a field is malformed, or the project does not define the behaviour.
    """
    if len(fields) < 4 or not all(isinstance(text, str) for text in fields[1:4]):
        raise InputError(f"{where}: expected time, subject, code, modifiers; {_REMEDY}")
    time, subject, code, modifiers = fields[:4]
    if code not in types:
        raise InputError(
            f"{where}: the project's ethogram has no behaviour {quoted(code)}, which"
            " may be a state or a point event; add it in BORIS, or rename it there"
        )
    image = None
    if counts_images:
        indices_and_paths = [*fields[5:7], None, None]
        moment: float = image_index(indices_and_paths[0], "image index", where)
        image = image_name(indices_and_paths[1])
    else:
        moment = second_in_video(time, offset, "Time", where)
    return Event(
        kind="STATE" if types[code].startswith("State") else "POINT",
        time=moment,
        subject=subject_name(subject),
        action=action_name(code, where),
        modifiers=(modifiers,),
        where=where,
        image=image,
    )
