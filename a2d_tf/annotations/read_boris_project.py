"""Observations of a BORIS project, in which a state event starts, and then stops.

Source: olivierfriard/BORIS, `boris/project_functions.py` (`events_start_stop`), format
7.0. Its times have the observation's offset added.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from a2d_tf.annotations.observations import (
    Event,
    Observation,
    action_name,
    bouts_of_events,
    second_in_video,
    subject_name,
    video_name,
)
from a2d_tf.core.checked_json import load_json, one_of
from a2d_tf.core.errors import InputError, quoted

_PROJECT = {
    "behaviors_conf": {str: {"code": str, "type": str}},
    "observations": {str: {"file": ({str: [str]}, one_of([])), "events": [list]}},
}
_REMEDY = "save the project again from BORIS"


def read(path: str | os.PathLike) -> list[Observation]:
    """Read the observations of a project; errors as of `read_bouts.read`."""
    project = load_json(path, _PROJECT, _REMEDY)
    types = {}
    for behaviour in project["behaviors_conf"].values():
        types[behaviour["code"]] = behaviour["type"]
    observations = []
    for name, fields in project["observations"].items():
        where = f"{path}: observations.{quoted(name)}"
        # Of each player the files that it plays one after the other.
        players = dict(fields["file"] or {})
        video = video_name([";".join(players.get("1", ()))], name, where)
        observation = Observation(name, video)
        events = []
        for i, event_fields in enumerate(fields["events"]):
            event = _event(
                event_fields,
                offset=fields.get("time offset"),
                types=types,
                where=f"{where}.events[{i}]",
            )
            if any(event.modifiers):
                observation.modifiers += 1
            events.append(event)
        observation.bouts += bouts_of_events(events)
        observations.append(observation)
    return observations


def _event(
    fields: list[Any], offset: Any, types: Mapping[str, str], where: str
) -> Event:
    """Return the event of a list [time, subject, code, modifiers, ...].

    `types` are {code of a behaviour: its type}.
    """
    if len(fields) < 4 or not all(isinstance(text, str) for text in fields[1:4]):
        raise InputError(f"{where}: expected time, subject, code, modifiers; {_REMEDY}")
    time, subject, code, modifiers = fields[:4]
    is_state = types.get(code, "").startswith("State")
    return Event(
        kind="STATE" if is_state else "POINT",
        second=second_in_video(time, offset, "Time", where),
        subject=subject_name(subject),
        action=action_name(code, where),
        modifiers=(modifiers,),
        where=where,
    )
