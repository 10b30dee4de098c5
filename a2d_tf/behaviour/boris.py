"""Events of BORIS, the coding tool of ethology, written of predictions.

Source: olivierfriard/BORIS, `boris/config.py` and `boris/export_observation.py`, format
  7.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from a2d_tf.behaviour.bouts import Prediction
from a2d_tf.core.files import write_csv, write_json

_TABULAR = (
    *("Observation id", "Observation date", "Description", "Observation duration"),
    *("Observation type", "Source", "Time offset (s)", "Media duration (s)", "FPS"),
    *("Subject", "Behavior", "Behavioral category", "Behavior type", "Time"),
    *("Media file name", "Image index", "Image file path", "Comment"),
)


def _events(prediction):
    """(second, whether a bout starts there, subject, action) of starts and stops, in
    order.

    Where one bout follows another, the first stops before the next starts.
    """
    events = []
    for track in prediction.tracks:
        for bout in track.bouts:
            what = f"{bout.actor} {track.number}", bout.action
            events += [(bout.start, 1, *what), (bout.end, 0, *what)]
    return sorted(events)


def write_project(path: str | os.PathLike, predictions: Sequence[Prediction]) -> None:
    """Write a project that BORIS opens, or imports observations from: one for each
    video.

    Subjects and behaviours are those of `write_events`. BORIS toggles a state at each
    event. Dates are empty, which BORIS takes for unknown: a prediction does not say
    when its video was made.

    Source: olivierfriard/BORIS, `boris/config.py` and `tests/files/test.boris`, format
      7.0.
    """
    events = {each.name: _events(each) for each in predictions}
    every = [event for found in events.values() for event in found]
    subjects, actions = (sorted({event[i] for event in every}) for i in (2, 3))
    behaviour = {"type": "State event", "key": "", "description": "", "category": ""}
    behaviour |= {"excluded": "", "coding map": ""}
    observations = {}
    for each in predictions:
        facts, name = each.video, each.video.name
        media = {"length": {name: facts.seconds}, "fps": {name: facts.fps}}
        media |= {
            "hasVideo": {name: True},
            "hasAudio": {name: False},
            "offset": {"1": 0.0},
        }
        observations[each.name] = {
            **{"type": "MEDIA", "file": {"1": [name]}, "media_info": media},
            **{"date": "", "description": "", "time offset": 0.0},
            **{"independent_variables": {}, "close_behaviors_between_videos": False},
            "events": [
                [time, who, what, "", ""] for time, _, who, what in events[each.name]
            ],
        }
    project = {
        **{"time_format": "s", "project_date": "", "project_name": "a2d_tf"},
        **{"project_description": "", "project_format_version": "7.0"},
        "subjects_conf": {
            str(i): {"key": "", "name": name, "description": ""}
            for i, name in enumerate(subjects)
        },
        "behaviors_conf": {
            str(i): {**behaviour, "code": name, "modifiers": {}}
            for i, name in enumerate(actions)
        },
        "observations": observations,
        **{"behavioral_categories": [], "independent_variables": {}, "coding_map": {}},
        **{"behaviors_coding_map": [], "converters": {}},
    }
    write_json(path, project)


def write_events(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """Write bouts as BORIS writes its tabular events: a row where each starts, and
    where it stops.

    The observation is the video, the subject a bout's actor and track ('dog 3'), the
    behaviour its action. Cells are separated by tabs if the path ends in .tsv.

    Source: olivierfriard/BORIS, `boris/export_observation.py`, `export_tabular_events`.
    """
    rows: list[tuple] = [_TABULAR]
    for each in predictions:
        facts, images = each.video, each.video.images is not None
        length, fps = (
            "NA" if images else f"{n:.3f}" for n in (facts.seconds, facts.fps)
        )
        source = facts.name if images else f"player #1:{facts.name}"
        kind = "From directories of images" if images else "Media file(s)"
        video = (
            each.name,
            "",
            "",
            f"{facts.seconds:.3f}",
            kind,
            source,
            0,
            length,
            fps,
        )
        media = "NA" if images else facts.name
        for time, starts, subject, action in _events(each):
            cells = (subject, action, "", "START" if starts else "STOP", f"{time:.3f}")
            rows.append((*video, *cells, media, "NA", "NA", ""))
    write_csv(path, rows, "\t" if os.fspath(path).lower().endswith(".tsv") else ",")
