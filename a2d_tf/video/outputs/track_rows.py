"""The rows of one track in `tracks.json` and `summary.csv`, gathered frame by frame."""

from __future__ import annotations

import collections
import dataclasses
import json
import shutil
import tempfile
from typing import Any, BinaryIO

from a2d_tf.core.labels import LabelSpace

COLUMNS = (
    "track_id",
    "actor",
    "action",
    "start_second",
    "end_second",
    "start_frame",
    "end_frame",
    "mean_score",
)
"""The names of the columns of `summary.csv`."""

_IN_MEMORY = 1 << 15  # bytes of a track's rows that are held in memory


@dataclasses.dataclass
class _Action:
    """An action of a track, from its first answered frame to its last."""

    code: int
    actor: str
    action: str
    start_second: float
    start_frame: int
    end_second: float = 0.0
    end_frame: int = 0
    total_score: float = 0.0
    frames: int = 0

    def fields(self) -> dict[str, Any]:
        """Return the action in the form of `tracks.json`."""
        return {
            "category_id": self.code,
            "actor": self.actor,
            "action": self.action,
            "start_second": self.start_second,
            "end_second": self.end_second,
            "start_frame": self.start_frame,
            "end_frame": self.end_frame,
            "mean_score": round(self.total_score / self.frames, 6),
        }


class TrackRows:
    """The frames and the actions of one track, gathered until the track ends.

    An action here is a bout: successive frames with one label. If the rows of the
    frames take much memory, they are moved to a temporary file. Call `add` for each
    frame, `end_action` when the track is lost or ends, then `summary` and `write`.

    Args:
      track_id: number of the track.
      labels: the label space of its codes.
      folder: path of the folder of the temporary file.
      name: name of the individual; None if it has none.
    """

    def __init__(
        self, track_id: int, labels: LabelSpace, folder: str, name: str | None = None
    ) -> None:
        self._id = track_id
        self._name = name
        self._labels = labels
        self._actors: collections.Counter[str] = collections.Counter()
        self._actions: list[_Action] = []
        # The action in progress; None while the track is lost.
        self._action: _Action | None = None
        self._total_score = 0.0
        self._rows = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder)

    def add(
        self,
        frame_number: int,
        start_second: float,
        end_second: float,
        *,
        code: int,
        score: float,
        bbox: list[float],
    ) -> None:
        """Append an answered frame to the track; a new label begins a new action.

        Args:
          frame_number: number of the frame in the video, from 1.
          start_second: time at which the frame begins, in seconds.
          end_second: time at which the next answered frame begins, in seconds.
          code: code of the track's label in this frame, a pair of actor and action.
          score: score of that label, 0 to 1.
          bbox: box of the instance: [x, y, width, height], pixels of the video.
        """
        action = self._action
        if action is None or action.code != code:
            self.end_action()
            actor_index, action_index = self._labels.indices(code)
            action = _Action(
                code=code,
                actor=self._labels.actors[actor_index],
                action=self._labels.actions[action_index],
                start_second=round(start_second, 3),
                start_frame=frame_number,
            )
            self._action = action
        action.end_second = round(end_second, 3)
        action.end_frame = frame_number
        action.total_score += score
        action.frames += 1
        self._actors[action.actor] += 1
        self._total_score += score

        row = {
            "frame": frame_number,
            "category_id": code,
            "score": score,
            "bbox": bbox,
        }
        if self._rows.tell():
            self._rows.write(b", ")
        self._rows.write(json.dumps(row).encode())

    def end_action(self) -> None:
        """End the action in progress, if there is one.

        If the track continues later, even with the same label, a new action begins.
        """
        if self._action is not None:
            self._actions.append(self._action)
        self._action = None

    def summary(self) -> list[list]:
        """Return the rows of `summary.csv`, one for each action that has ended.

        A row has the values of `COLUMNS`.
        """
        rows = []
        for action in self._actions:
            fields = {"track_id": self._id, **action.fields()}
            rows.append([fields[column] for column in COLUMNS])
        return rows

    def write(self, file: BinaryIO) -> None:
        """Write the track as a JSON object for `tracks.json`, and release its memory.

        Call it once, after `end_action`. The object has the track's number, its most
        frequent actor, its time, its actions, and a row for each frame.

        Args:
          file: the open file.
        """
        first = self._actions[0]
        last = self._actions[-1]
        fields = {
            "track_id": self._id,
            "actor": self._actors.most_common(1)[0][0],
            "start_second": first.start_second,
            "end_second": last.end_second,
            "start_frame": first.start_frame,
            "end_frame": last.end_frame,
            "mean_score": round(self._total_score / sum(self._actors.values()), 6),
            "actions": [action.fields() for action in self._actions],
        }
        if self._name is not None:
            fields["name"] = self._name
        file.write(b"{")
        for name, value in fields.items():
            file.write(f"{json.dumps(name)}: {json.dumps(value)}, ".encode())
        file.write(b'"frames": [')
        rows: Any = self._rows
        with rows:
            rows.seek(0)
            shutil.copyfileobj(rows, file)
        file.write(b"]}")
