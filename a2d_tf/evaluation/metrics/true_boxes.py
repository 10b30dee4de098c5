"""Scores of the labels in the true boxes: what they would be if boxes were perfect.

The network labels the boxes of the annotation. In every class all these boxes are
ranked by their scores. There are no other boxes, so that nothing needs to be matched,
and none suppresses another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.average_precision import (
    Curve,
    area_under_curve,
    average_precision,
    curve_of_hits,
)
from a2d_tf.evaluation.metrics.detection import mean_aps
from a2d_tf.evaluation.metrics.metric import INSTANCES, KINDS, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table, figure

if TYPE_CHECKING:
    from a2d_tf.evaluation.frames.evaluated_frames import Frame

_ROWS = {"actor": "actors", "action": "actions", "joint": "pairs"}
"""{kind: its plural, as in "tested" of `Behaviours`}."""


class LabelledBoxes(NamedTuple):
    """A network's labels of N boxes that it was given.

    Attributes:
      actor_scores: float [N, |X|], p(actor).
      action_scores: float [N, |Y|], p(action).
      joint_scores: float [N, |X|, |Y|], the score of each pair.
      codes: int [N], the code of the pair that each box is labelled with.
    """

    actor_scores: np.ndarray
    action_scores: np.ndarray
    joint_scores: np.ndarray
    codes: np.ndarray

    @classmethod
    def of_frames(cls, frames: Iterable[LabelledBoxes]) -> LabelledBoxes:
        """Concatenate the labels of the boxes of several frames, in order.

        Args:
          frames: the labelled boxes of each frame, at least one frame.
        """
        return cls._make(np.concatenate(arrays) for arrays in zip(*frames))


class TrueBoxes(Metric):
    """AP and accuracy of the labels in the true boxes, of `a2d evaluate --true_boxes`.

    It has no scores unless the network labelled the true boxes.
    """

    section = "true_boxes"
    needs = (INSTANCES,)

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels)
        self._boxes: list[LabelledBoxes] = []
        self._true_codes: list[np.ndarray] = []

    def update(self, frame: Frame) -> None:
        """Keep the network's labels in the true boxes of a frame, and the true ones."""
        if frame.true_boxes is not None:
            self._boxes.append(frame.true_boxes)
            self._true_codes.append(frame.truth.codes)

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Score the labels in the true boxes of all frames.

        Returns:
          {"true_boxes": mAP and accuracy of actors, actions and pairs, see
          `label_scores`}; empty if there are no true boxes, or these were not labelled.
        """
        if not self._boxes:
            return {}
        true_codes = np.concatenate(self._true_codes)
        if not len(true_codes):
            return {}
        boxes = LabelledBoxes.of_frames(self._boxes)
        return {"true_boxes": label_scores(boxes, true_codes, self.labels)}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return a table of mAP and accuracy, or no table without scores.

        It has a row for actors, one for actions and one for pairs. A note says what the
        mAP would be with perfect boxes.
        """
        figures = metrics.get("true_boxes")
        if not figures:
            return []
        if "behaviours" in metrics:  # own labels, of which only tested classes count
            name = "tested"
            mean = "mean AP of the pairs tested"
            before = metrics.get("tested", {}).get("pairs", {}).get("ap")
        else:
            name = "detection"
            mean = "joint mAP"
            before = metrics.get("detection", {}).get("joint")
        rows = {}
        for kind in KINDS:
            rows[_ROWS[kind]] = {
                "map": figures[name][kind],
                "accuracy": figures["accuracy"][kind],
            }
        notes = []
        if before is not None:
            now = figure(figures[name]["joint"])
            notes.append(
                f"with perfect boxes the {mean} would be {now} instead of"
                f" {figure(before)}"
            )
        columns = {"map": "mAP", "accuracy": "mean accuracy"}
        title = "Labels in the true boxes, percent"
        return [Table(title, columns, rows, notes=tuple(notes))]


def label_scores(
    boxes: LabelledBoxes, true_codes: np.ndarray, labels: LabelSpace
) -> dict[str, Any]:
    """Score the labels that a network gives to the true boxes.

    Args:
      boxes: the network's labels of the N true boxes of all frames.
      true_codes: int [N], the true code of the actor and action of each box.
      labels: the label space of the codes.

    Returns:
      a dict of figures in percent. "detection", "tested" and "accuracy" are each
      {"actor", "action", "joint": figure}. "detection" has the mAP of VOC2007 over all
      classes, as in `detection.voc_aps`, "tested" the mAP over the classes with true
      boxes, "accuracy" the mean over these classes of the share of their boxes that get
      the right label. "frame_map50" is the mean over the pairs with true boxes of the
      area under precision over recall, as `video_map.frame_map` computes it.
    """
    true_actors, true_actions = labels.split(true_codes)
    aps: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    tested: dict[str, list[float]] = {kind: [] for kind in KINDS}

    def add(kind: str, number: int, scores: np.ndarray, of_class: np.ndarray) -> None:
        ap = _ap(scores, of_class, average_precision)
        aps[kind][str(number)] = ap
        if of_class.any():
            tested[kind].append(ap)

    for number, scores in enumerate(boxes.actor_scores.T, 1):
        add("actor", number, scores, true_actors == number)
    for number, scores in enumerate(boxes.action_scores.T, 1):
        add("action", number, scores, true_actions == number)
    areas = []
    for code, (actor, action) in zip(labels.codes, labels.pairs):
        scores = boxes.joint_scores[:, actor, action]
        of_pair = true_codes == code
        add("joint", code, scores, of_pair)
        if of_pair.any():
            areas.append(_ap(scores, of_pair, area_under_curve))
    actors, actions = labels.split(boxes.codes)
    return {
        "detection": mean_aps(aps["actor"], aps["action"], aps["joint"], labels),
        "tested": {kind: float(np.mean(of_kind)) for kind, of_kind in tested.items()},
        "frame_map50": float(np.mean(areas)),
        "accuracy": {
            "actor": _mean_accuracy(true_actors, actors),
            "action": _mean_accuracy(true_actions, actions),
            "joint": _mean_accuracy(true_codes, boxes.codes),
        },
    }


def _ap(
    scores: np.ndarray, of_class: np.ndarray, measure: Callable[[Curve], Any]
) -> float:
    """Return the AP of a class in percent.

    Args:
      scores: float [N], the score of each true box in the class.
      of_class: bool [N], whether each true box is of the class.
      measure: makes an AP in [0, 1] of a curve.
    """
    ranked = np.argsort(-scores.astype(np.float64), kind="stable")
    return 100 * float(measure(curve_of_hits(of_class[ranked], of_class.sum())))


def _mean_accuracy(true_labels: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean, over classes with true boxes, of the percentage that is right.

    Args:
      true_labels: int [N], the class of each true box.
      labels: int [N], the class that it is labelled with.
    """
    shares = []
    for label in np.unique(true_labels):
        shares.append((labels[true_labels == label] == label).mean())
    return 100 * float(np.mean(shares))
