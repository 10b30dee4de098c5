"""Reader of predicted bouts: the `summary.csv` of one prediction or of a library."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable

from a2d_tf.annotations.coded_times.observations import (
    CodedBout,
    Observation,
    check_order,
)
from a2d_tf.annotations.coded_times.readers.boris_values import (
    action_name,
    second_in_video,
    stated_number,
    subject_name,
)
from a2d_tf.annotations.coded_times.readers.event_tables import Line
from a2d_tf.annotations.matching.video_names import name_of
from a2d_tf.core.checked_json import load_json, number

COLUMNS = ("track_id", "action", "start_second", "end_second")
"""Columns by which a `summary.csv` is recognised."""
_VIDEO_INFO = {
    "name": str,
    "images": ([str], None),
    "fps?": number(1e-9, 1e9),
    "fps_is_assumed?": bool,
}


def observations_of(
    path: str | os.PathLike, lines: Iterable[Line]
) -> list[Observation]:
    """Return the predicted bouts of a `summary.csv`, as an observation for each video.

    The table of a library of predictions has a column of the videos' names. For a
    single prediction, `video.json` beside the table names the video. The numbers of
    tracks become subjects.

    Args:
      path: the path of the table.
      lines: the lines of the table.

    Raises:
      InputError: a cell is malformed, a bout ends before it starts, or `video.json` is
        missing or malformed.
    """
    folder = pathlib.Path(path).parent
    observations: dict[str, Observation] = {}
    for line in lines:
        video = line.cells.get("video", "")
        if video not in observations:
            info_path = folder / video / "video.json"
            observations[video] = _predicted_observation(line, info_path)
        bout = CodedBout(
            subject=subject_name(line.cells["track_id"]),
            action=action_name(line.cells["action"], line.where),
            start=second_in_video(
                line.cells["start_second"], 0, "start_second", line.where
            ),
            end=second_in_video(line.cells["end_second"], 0, "end_second", line.where),
            where=line.where,
        )
        check_order(bout)
        observations[video].bouts.append(bout)
    return list(observations.values())


def _predicted_observation(line: Line, info_path: pathlib.Path) -> Observation:
    """Return the observation of the video in a line, without its bouts.

    Args:
      info_path: the path of the video's `video.json`, which may be missing if the line
        names the video.
    """
    video = line.cells.get("video")
    if video is not None and not info_path.exists():
        rate = stated_number(line.cells.get("fps"))
        return Observation(
            video, video, file=line.path, fps=rate, from_first_frame=True
        )
    info = load_json(info_path, _VIDEO_INFO, "copy both files")
    is_folder = info["images"] is not None
    name = video or name_of(info["name"], is_folder)
    # Earlier versions knew no rate of images.
    is_assumed = info.get("fps_is_assumed", is_folder)
    return Observation(
        name=name,
        video=name,
        file=line.path,
        fps=info.get("fps"),
        has_assumed_times=is_assumed,
        from_first_frame=True,
    )
