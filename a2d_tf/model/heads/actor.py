"""The actor head: the class of a RoI, and one box per class (paper, 3.1)."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from a2d_tf.model import losses
from a2d_tf.model.heads import Head
from a2d_tf.model.label_modes import LabelMode
from a2d_tf.model.layers import fold, hidden, output, unfold
from a2d_tf.model.structures import BatchTruth, Options, Rows, Seen, Terms
from a2d_tf.ops import boxes as box_ops

BACKGROUND = "background"


class ActorHead(Head):
    """Classes are the actors or, with cartesian labels, the valid pairs.

    Args:
      mode: the label space; coder: of the deltas.
    """

    branch: ClassVar[str] = "actor"
    outputs: ClassVar[tuple[str, ...]] = ("class_logits", "deltas")

    def __init__(self, mode: LabelMode, coder: box_ops.BoxCoder) -> None:
        self._mode, self.coder = mode, coder

    def build(
        self, features: tf.Tensor, units: int, norm: str, epsilon: float
    ) -> dict[str, tf.Tensor]:
        """Return {class_logits [B, R, C + 1], background last; deltas [B, R, C, 4]},
        float32.

        Args:
          features: of RoIs, [B, R, n, n, D]; units: of the layers; norm, epsilon: see
            `ConvNorm`.
        """
        count = self._mode.num_classes
        # Units have no spatial extent: statistics of groups of eight would erase them.
        norm = "none" if norm == "group_norm" else norm
        x = hidden(fold(features), units, norm, "actor", epsilon)
        logits = output(x, count + 1, "actor_logits")
        deltas = output(x, 4 * count, "actor_deltas")
        return {
            "class_logits": unfold(logits, features, count + 1),
            "deltas": unfold(deltas, features, count, 4),
        }

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return those of class and box, background last in the first; see `Head`."""
        return {
            "actor_logits": [*self._mode.classes(), (BACKGROUND,)],
            "actor_deltas": self._mode.classes(),
        }

    def terms(
        self, seen: Seen, rows: Rows, truth: BatchTruth, options: Options
    ) -> Terms:
        """Return the terms of the RoIs' classes and of the positives' boxes (Eq. 1
        and 2).
        """
        with tf.name_scope("targets"):
            classes, boxes = self.targets(rows, truth)
        deltas, logits = seen.outputs["deltas"], seen.outputs["class_logits"]
        own = tf.gather(deltas, tf.minimum(classes, deltas.shape[2] - 1), batch_dims=2)
        box = losses.box_regression(
            own,
            boxes,
            rows.positive,
            rows.counted,
            beta=1.0,
            normaliser=options.box_normaliser,
        )
        return {
            "box_reg": [box],
            "actor_cls": [losses.actor_class(logits, classes, rows.counted)],
        }

    def targets(self, rows: Rows, truth: BatchTruth) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the class of each row [B, R], C for background, and its deltas [B,
        R, 4].
        """
        deltas = self.coder.encode(rows.matched(truth.boxes), rows.rois)
        return self.classes(rows, truth), tf.where(
            rows.positive[..., None], deltas, 0.0
        )

    def classes(self, rows: Rows, truth: BatchTruth) -> tf.Tensor:
        """Return the class of each row, int64 [B, R]; C for background."""
        classes = rows.matched(self._mode.classes_of(truth.actors, truth.actions))
        return tf.where(rows.positive, classes, self._mode.num_classes)

    def decode(
        self, seen: Seen, boxes: tf.Tensor, valid: tf.Tensor, size: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return scores [B, R, C] and boxes [B, R, C, 4] of the classes.

        Args:
          boxes: of the RoIs, [B, R, 4]; valid: bool [B, R], others score 0.
          size: int [B, 2] of the frames inside the canvas.
        """
        row = tf.cast(valid, tf.float32)[..., None]
        scores = self._mode.pooled(
            tf.nn.softmax(seen.outputs["class_logits"])[..., :-1] * row
        )
        deltas = seen.outputs["deltas"]
        return scores, box_ops.clip(self.coder.decode(deltas, boxes[:, :, None]), size)
