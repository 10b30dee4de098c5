"""Every RoI of a split with its scores: the contents of `detections.npz`.

A RoI (region of interest) is a box that the network proposed and then scored.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from a2d_tf.core import files
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes import checked_arrays
from a2d_tf.evaluation.boxes.instance_tables import Truth


@dataclasses.dataclass
class ScoredRois:
    """The R RoIs of a split, with the scores of |X| actors and |Y| actions.

    In memory, boxes are (y1, x1, y2, x2) in pixels of the video; in files they are
    (x1, y1, x2, y2). The constructor takes arrays or lists and checks them; it raises
    InputError.

    Attributes:
      frames: [F], distinct names `<VID>/<frame>`.
      roi_frame: int64 [R], the frame of each RoI, an index into `frames`.
      boxes: float32 [R, |X|, 4], the box of each RoI as regressed for each actor.
      actor_scores: float [R, |X|], p(actor).
      action_scores: float [R, |Y|], p(action), in the order of the label space.
      joint_scores: float [R, |X|, |Y|], the score of each pair; None if it is p(actor)
        * p(action).
      joint_boxes: float32 [R, |X|, |Y|, 4], the box of each pair; None if it is that of
        the actor.
      source: what messages call the table: the path of a file, or "detections".
    """

    frames: np.ndarray
    roi_frame: np.ndarray
    boxes: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    joint_scores: np.ndarray | None = None
    joint_boxes: np.ndarray | None = None
    source: str = "detections"

    def __post_init__(self) -> None:
        fields = checked_arrays.Fields(self.source)
        self.frames = fields.frames(self.frames)
        self.roi_frame = fields.frame_indices("roi_frame", self.roi_frame, self.frames)
        rois = len(self.roi_frame)
        self.actor_scores = fields.scores(
            "actor_scores", self.actor_scores, (rois, None)
        )
        self.action_scores = fields.scores(
            "action_scores", self.action_scores, (rois, None)
        )
        actors = self.actor_scores.shape[1]
        actions = self.action_scores.shape[1]
        self.boxes = fields.boxes("boxes", self.boxes, (rois, actors, 4))
        if self.joint_scores is not None:
            self.joint_scores = fields.scores(
                "joint_scores", self.joint_scores, (rois, actors, actions)
            )
        if self.joint_boxes is not None:
            self.joint_boxes = fields.boxes(
                "joint_boxes", self.joint_boxes, (rois, actors, actions, 4)
            )

    def save(self, path: str | os.PathLike) -> None:
        """Write the RoIs to a compressed NumPy archive, whole or not at all.

        The archive has the arrays of this class by their names, without those that are
        None; boxes are turned to (x1, y1, x2, y2). `load` reads it.
        """
        arrays = {}
        for name in _array_names():
            array = getattr(self, name)
            if array is not None:
                arrays[name] = _turned(array) if name.endswith("boxes") else array
        files.write_file(path, lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, path: str | os.PathLike) -> ScoredRois:
        """Read RoIs from a NumPy archive such as `detections.npz`.

        The archive has the arrays of this class by their names, with boxes as (x1, y1,
        x2, y2).

        Raises:
          InputError: the file, or a field that it needs, is missing or damaged.
        """
        path = os.fspath(path)
        try:
            stored = files.read_npz(path)
        except files.UNREADABLE as error:
            raise InputError(
                f"{path}: not a readable .npz archive ({error})"
            ) from error
        arrays: dict[str, Any] = {}
        for name in _array_names():
            array = stored.get(name)
            arrays[name] = array
            is_boxes = array is not None and array.shape[-1:] == (4,)  # else refused
            if name.endswith("boxes") and is_boxes:
                arrays[name] = _turned(array)
        return cls(**arrays, source=path)

    def check(self, truth: Truth, label_space: LabelSpace) -> None:
        """Check that the RoIs belong to a ground truth and a label space.

        Args:
          truth: the ground truth that they are to be scored against.
          label_space: the label space of the scores.

        Raises:
          InputError: the numbers of actors or actions differ, or a frame that has RoIs
            is not among those of the ground truth.
        """
        self._check_columns("actor", self.actor_scores, len(label_space.actors))
        self._check_columns("action", self.action_scores, len(label_space.actions))
        outside = np.setdiff1d(self.frames[np.unique(self.roi_frame)], truth.frames)
        if len(outside):
            raise InputError(
                f"{self.source}: field 'frames': {outside[0]} ({len(outside)} in all)"
                f" has detections but is not in {truth.source}"
            )

    def _check_columns(self, kind: str, scores: np.ndarray, count: int) -> None:
        """Raise InputError if there is not a column for each actor or action."""
        columns = scores.shape[1]
        if columns != count:
            raise InputError(
                f"{self.source}: field '{kind}_scores' has {columns} columns, but the"
                f" label space has {count} {kind}s; use the label space of these"
                " detections"
            )


def _array_names() -> list[str]:
    """Return the names of the arrays of `detections.npz`: the fields but `source`."""
    names = [field.name for field in dataclasses.fields(ScoredRois)]
    names.remove("source")
    return names


def _turned(boxes: Any) -> Any:
    """Exchange x and y."""
    return boxes[..., [1, 0, 3, 2]]
