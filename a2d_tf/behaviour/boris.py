"""Write predictions as events or projects of BORIS, the coding tool of ethology.

An observation of BORIS is a video here, a subject is a track, and a behaviour is an
action of the track. A subject keeps its name, such as 'dog 3', while the track is taken
for a cat.

Source: olivierfriard/BORIS, `boris/config.py`, `boris/export_observation.py` and
  `tests/files/test.boris`, format 7.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from a2d_tf.behaviour.bouts import Prediction
from a2d_tf.behaviour.prediction_folder import VideoInfo
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_csv, write_json

_TABULAR = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation duration",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Media duration (s)",
    "FPS",
    "Subject",
    "Behavior",
    "Behavioral category",
    "Behavior type",
    "Time",
    "Media file name",
    "Image index",
    "Image file path",
    "Comment",
)


class _Event(NamedTuple):
    """The start or the stop of a bout.

    Attributes:
      second: the time in seconds, as a player of the video counts.
      rank: the order of events at the same time: 0 for a stop, which comes first; 1 for
        a start, and for the stop of a bout of length 0.
      subject: the name of the track, `TrackBouts.subject`.
      number: the number of the event, counted bout by bout.
      behaviour: the action.
      is_start: whether it is the start.
    """

    second: float
    rank: int
    subject: str
    number: int
    behaviour: str
    is_start: bool


def _events(prediction: Prediction) -> list[_Event]:
    """Return the starts and stops of all bouts, in order.

    Where one bout follows another, the first stops before the next starts. A bout
    without length stops after its own start.
    """
    events: list[_Event] = []
    first_frame_time = prediction.video.first_frame_time
    for track in prediction.tracks:
        for bout in track.bouts:
            start = round(bout.start + first_frame_time, 6)
            end = round(bout.end + first_frame_time, 6)
            stop_rank = int(start == end)
            number = len(events)
            events.append(_Event(start, 1, track.subject, number, bout.action, True))
            events.append(
                _Event(end, stop_rank, track.subject, number + 1, bout.action, False)
            )
    return sorted(
        events,
        key=lambda event: (event.second, event.rank, event.subject, event.number),
    )


def write_project(path: str | os.PathLike, predictions: Sequence[Prediction]) -> None:
    """Write predictions as a project file, which BORIS can open or import.

    Each bout, a period with one action of a track, becomes the start and the stop of a
    state event. Dates are empty, which BORIS takes
    for unknown: a prediction does not say when its video was made.

    Args:
      path: the file to write, with the suffix .boris.
      predictions: predictions of video files.

    Raises:
      InputError: a video is a folder of images, which a project does not name.
    """
    if any(prediction.video.images is not None for prediction in predictions):
        raise InputError(
            f"--output={path}: use .csv, .tsv or, for video files only, .boris"
        )
    subjects: set[str] = set()
    behaviours: set[str] = set()
    observations = {}
    for prediction in predictions:
        events = _events(prediction)
        for event in events:
            subjects.add(event.subject)
            behaviours.add(event.behaviour)
        observations[prediction.name] = _observation(prediction, events)
    subjects_conf = {}
    for i, subject in enumerate(sorted(subjects)):
        subjects_conf[str(i)] = {"key": "", "name": subject, "description": ""}
    behaviors_conf = {}
    for i, behaviour in enumerate(sorted(behaviours)):
        behaviors_conf[str(i)] = {
            "type": "State event",
            "key": "",
            "description": "",
            "category": "",
            "excluded": "",
            "coding map": "",
            "code": behaviour,
            "modifiers": {},
        }
    project = {
        "time_format": "s",
        "project_date": "",
        "project_name": "a2d_tf",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": subjects_conf,
        "behaviors_conf": behaviors_conf,
        "observations": observations,
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    write_json(path, project)


def _observation(prediction: Prediction, events: Sequence[_Event]) -> dict[str, Any]:
    """Return an observation of a project, of a video file."""
    video = prediction.video
    media_info = {
        "length": {video.name: video.seconds},
        "fps": {video.name: video.fps},
        "hasVideo": {video.name: True},
        "hasAudio": {video.name: False},
        "offset": {"1": 0.0},
    }
    return {
        "type": "MEDIA",
        "file": {"1": [video.name]},
        "media_info": media_info,
        "date": "",
        "description": "",
        "time offset": 0.0,
        "independent_variables": {},
        "close_behaviors_between_videos": False,
        "events": [
            [event.second, event.subject, event.behaviour, "", ""] for event in events
        ],
    }


def write_events(path: str | os.PathLike, predictions: Iterable[Prediction]) -> None:
    """Write predictions as a table like BORIS's tabular events.

    It has a row for each start and each stop of a bout, a period with one action of a
    track.

    Args:
      path: the file to write; cells are separated by tabs if it ends in .tsv, else by
        commas.
      predictions: predictions of video files or of folders of images.
    """
    table: list[Sequence] = [_TABULAR]
    for prediction in predictions:
        row = _row_of_observation(prediction)
        for event in _events(prediction):
            row["Subject"] = event.subject
            row["Behavior"] = event.behaviour
            row["Behavior type"] = "START" if event.is_start else "STOP"
            row["Time"] = f"{event.second:.3f}"
            if prediction.video.images is not None:
                row.update(_image_of(event, prediction.video))
            table.append([row[column] for column in _TABULAR])
    is_tsv = os.fspath(path).lower().endswith(".tsv")
    write_csv(path, table, "\t" if is_tsv else ",")


def _row_of_observation(prediction: Prediction) -> dict[str, Any]:
    """Return {column: cell} for the columns that all events of a prediction share."""
    video = prediction.video
    row: dict[str, Any] = dict.fromkeys(_TABULAR, "")
    row["Observation id"] = prediction.name
    row["Observation duration"] = f"{video.seconds:.3f}"
    row["Time offset (s)"] = 0
    for column in (
        "Media duration (s)",
        "FPS",
        "Media file name",
        "Image index",
        "Image file path",
    ):
        row[column] = "NA"
    if video.images is None:
        row["Observation type"] = "Media file(s)"
        row["Source"] = f"player #1:{video.name}"
        row["Media duration (s)"] = f"{video.seconds:.3f}"
        row["FPS"] = f"{video.fps:.3f}"
        row["Media file name"] = video.name
    else:
        row["Observation type"] = "From directories of images"
        row["Source"] = video.name
    return row


def _image_of(event: _Event, video: VideoInfo) -> dict[str, Any]:
    """Return {column: cell} of the image that is shown at an event.

    Images count from 1. A bout may stop after the last image; then the index has no
    image.
    """
    images = video.images or ()
    index = round(event.second * video.fps) + 1
    path = "NA"
    if index <= len(images):
        path = f"{video.name}/{images[index - 1]}"
    return {"Image index": index, "Image file path": path}
