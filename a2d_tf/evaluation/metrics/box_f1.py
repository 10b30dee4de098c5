"""F1 of boxes, by which validation chooses if there are no label maps to score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.box_matching import iou, match
from a2d_tf.evaluation.metrics.metric import INSTANCES, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table

if TYPE_CHECKING:
    from a2d_tf.evaluation.frames.evaluated_frames import Frame


class BoxF1(Metric):
    """F1 of boxes and pairs at the threshold, if label maps have no scores.

    An instance is right if its box has an IoU of 0.5 or more with a true one of its
    pair, which no better instance has taken.
    """

    section = "box_f1"
    needs = (INSTANCES,)
    reads = ("segmentation",)
    validates = True

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels)
        self._true_count = 0
        # Of each frame: p(actor) of its instances, and whether each is right, [2, N].
        self._scored = [np.zeros((2, 0))]

    def update(self, frame: Frame) -> None:
        """Match the instances of a frame to the true ones, and keep which are right.

        It also keeps their p(actor), so that `at` can count at any threshold.
        """
        truth = frame.truth
        instances = frame.instances
        same_pair = instances.code[:, None] == truth.codes
        matches = match(iou(instances.boxes[:, None], truth.boxes) * same_pair)
        self._true_count += len(truth.codes)
        self._scored.append(np.stack([instances.class_scores, matches >= 0]))

    def at(self, threshold: float) -> float:
        """Return the F1 in percent of the instances whose p(actor) reaches a threshold.

        Args:
          threshold: the least p(actor) of an instance that counts.
        """
        scores, right = np.concatenate(self._scored, axis=1)
        counted = scores >= np.float32(threshold)
        everything = counted.sum() + self._true_count
        return float(200 * right[counted].sum() / max(everything, 1))

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Return {"box_f1": F1 in percent at the split's threshold}.

        It is empty if label maps were scored, because these then count instead.
        """
        if earlier.get("segmentation"):
            return {}
        return {"box_f1": self.at(split.threshold)}

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return the table with the F1 of boxes, or no table if it was not computed.

        Args:
          metrics: the content of `metrics.json`; any part may be missing.
        """
        f1 = metrics.get("box_f1")
        if f1 is None:
            return []
        title = "Boxes at IoU 0.5 and the score threshold, percent"
        return [Table(title, {"joint": "F1"}, {"": {"joint": f1}})]
