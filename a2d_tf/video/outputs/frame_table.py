"""frames.csv: a row for each individual in each frame, a column for each behaviour."""

from __future__ import annotations

import csv
from collections.abc import Mapping

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.video.frames.video_frame import VideoFrame

COLUMNS = ("frame", "seconds", "track_id", "name", "actor", "action")
"""Columns before those of the behaviours."""


class FrameTable:
    """Writer of the table.

    A row has the label of the track, as in the overlay and in `tracks.json`, and the
    score of each behaviour for the label's actor.

    Args:
      path: of the table.
      names: {number of a track: the name of its individual}.
    """

    def __init__(self, path: str, names: Mapping[int, str]) -> None:
        self._file = open(path, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._names = names
        self._has_header = False

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append the rows of a frame."""
        if not self._has_header:
            self._writer.writerow([*COLUMNS, *labels.actions])
            self._has_header = True
        for i in np.argsort(frame.tracks, kind="stable").tolist():
            track_id = int(frame.tracks[i])
            if track_id == 0:
                continue
            actor, action = labels.indices(int(frame.codes[i]))
            behaviour_scores = frame.scores_of_pairs(i)[actor]
            behaviour_scores[action] = frame.scores[i]
            row = [
                frame.number,
                round(frame.seconds, 3),
                track_id,
                self._names.get(track_id, ""),
                labels.actors[actor],
                labels.actions[action],
            ]
            self._writer.writerow(row + behaviour_scores.round(6).tolist())

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
