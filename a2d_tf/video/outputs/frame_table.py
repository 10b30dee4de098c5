"""frames.csv: a row for each individual in each frame, a column for each behaviour.

A behaviour is an action of the label space.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.video.frames.video_frame import VideoFrame

COLUMNS = ("frame", "seconds", "track_id", "name", "actor", "action")
"""The names of the columns before those of the behaviours."""


class FrameTable:
    """Writer of `frames.csv`, frame by frame.

    A row has the label of the track, as in the overlay and in `tracks.json`, and the
    score of each behaviour for the label's actor, 0 to 1. Instances without a track
    have no row.

    Args:
      path: path of the table, which is created.
      names: {number of a track: the name of its individual}; it may be filled later,
        but before the first frame.
    """

    def __init__(self, path: str, names: Mapping[int, str]) -> None:
        self._file = open(path, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._names = names
        self._has_header = False

    def add(self, frame: VideoFrame, labels: LabelSpace) -> None:
        """Append a row for each track in a frame, by the tracks' numbers.

        The first call also writes the header.

        Args:
          frame: the next answered frame.
          labels: the label space of the codes, the same in each call.
        """
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
        """Finish the file; call it once, after the last frame."""
        self._file.close()
