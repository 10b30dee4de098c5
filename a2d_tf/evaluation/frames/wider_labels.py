"""Answers of a network in a label space that has more than its own.

So an earlier round is scored on records of a later one, to which labels were added. Its
labels are found by name; labels that it does not know score 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.frames.evaluated_frames import Frame
from a2d_tf.evaluation.metrics.true_boxes import LabelledBoxes
from a2d_tf.model.structures import BatchInstances, RoiTable


class WiderLabels:
    """Translates a network's answers into a label space with more labels.

    Args:
      narrow: the label space of the network.
      wide: the label space of the records; it has all labels of `narrow`, perhaps in
        another order.
    """

    def __init__(self, narrow: LabelSpace, wide: LabelSpace) -> None:
        self._actors = _columns(narrow.actors, wide.actors)
        self._actions = _columns(narrow.actions, wide.actions)
        # Number 0, of rows that are not used, stays.
        self._actor_numbers = _numbers(narrow.actors, wide.actors)
        self._action_numbers = _numbers(narrow.actions, wide.actions)
        self._narrow = narrow
        self._wide = wide

    def of_frame(self, frame: Frame) -> Frame:
        """Return a frame whose answers are in the wide label space.

        Columns of labels that the network does not know are 0.

        Args:
          frame: a frame with the truth in the wide label space, and the network's
            answers in its own.
        """
        true_boxes = frame.true_boxes
        if true_boxes is not None:
            true_boxes = self._labelled(true_boxes)
        return dataclasses.replace(
            frame,
            table=self._table(frame.table),
            instances=self._instances(frame.instances),
            true_boxes=true_boxes,
        )

    def _table(self, table: RoiTable) -> RoiTable:
        """Widen the columns of RoIs that metrics read.

        The classes of the actor head stay as they are.
        """
        joint_boxes = table.joint_boxes
        if joint_boxes is not None:
            joint_boxes = self._pairs(joint_boxes)
        return table._replace(
            boxes=_pick(table.boxes, self._actors, axis=1),
            actor_scores=_pick(table.actor_scores, self._actors, axis=1),
            action_scores=_pick(table.action_scores, self._actions, axis=1),
            joint_scores=self._pairs(table.joint_scores),
            joint_boxes=joint_boxes,
        )

    def _instances(self, instances: BatchInstances) -> BatchInstances:
        return instances._replace(
            actor=self._actor_numbers[instances.actor],
            action=self._action_numbers[instances.action],
            code=self._codes(instances.code),
            actor_scores=_pick(instances.actor_scores, self._actors, axis=1),
            action_scores=_pick(instances.action_scores, self._actions, axis=1),
        )

    def _labelled(self, boxes: LabelledBoxes) -> LabelledBoxes:
        return LabelledBoxes(
            actor_scores=_pick(boxes.actor_scores, self._actors, axis=1),
            action_scores=_pick(boxes.action_scores, self._actions, axis=1),
            joint_scores=self._pairs(boxes.joint_scores),
            codes=self._codes(boxes.codes),
        )

    def _pairs(self, values: np.ndarray) -> np.ndarray:
        """Widen values of pairs, [N, |X|, |Y|, ...]."""
        return _pick(_pick(values, self._actors, axis=1), self._actions, axis=2)

    def _codes(self, codes: np.ndarray) -> np.ndarray:
        actors, actions = self._narrow.split(codes)
        return (
            self._wide.base * self._actor_numbers[actors]
            + (self._action_numbers[actions])
        )


def _columns(narrow: Sequence[str], wide: Sequence[str]) -> np.ndarray:
    """Return the index of each wide name among the narrow names.

    A name that is not among them gets the index behind the last one.
    """
    places = {name: index for index, name in enumerate(narrow)}
    return np.array([places.get(name, len(narrow)) for name in wide])


def _numbers(narrow: Sequence[str], wide: Sequence[str]) -> np.ndarray:
    """Return the number in the wide label space for each number in the narrow one.

    Numbers count from 1; 0 stays 0.
    """
    return np.array([0, *(wide.index(name) + 1 for name in narrow)], np.int32)


def _pick(values: np.ndarray, columns: np.ndarray, axis: int) -> np.ndarray:
    """Take columns of an array along an axis; the column behind the last one is 0."""
    padding = [(0, 0)] * values.ndim
    padding[axis] = (0, 1)
    return np.take(np.pad(values, padding), columns, axis)
