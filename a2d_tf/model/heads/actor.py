"""The actor head: the class of a RoI, and one box per class (paper, 3.1)."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from a2d_tf.model import losses
from a2d_tf.model.heads.base import Head
from a2d_tf.model.label_modes import LabelMode
from a2d_tf.model.layers import (
    merge_roi_axis,
    output_layer,
    split_roi_axis,
    two_fc_layers,
)
from a2d_tf.model.structures import (
    BatchTruth,
    HeadInputs,
    LossSettings,
    SampledRois,
    Terms,
)
from a2d_tf.ops import boxes as box_ops

BACKGROUND = "background"


class ActorHead(Head):
    """Classes are the actors or, with cartesian labels, the valid pairs.

    Args:
      mode: the label space.
      coder: encodes and decodes the deltas.
    """

    branch: ClassVar[str] = "actor"
    loss_terms: ClassVar[tuple[str, ...]] = ("box_reg", "actor_cls")
    outputs: ClassVar[tuple[str, ...]] = ("class_logits", "deltas")

    def __init__(self, mode: LabelMode, coder: box_ops.BoxCoder) -> None:
        self._mode = mode
        self.coder = coder

    def build_layers(
        self, features: tf.Tensor, units: int, norm: str, epsilon: float
    ) -> dict[str, tf.Tensor]:
        """Build its layers over the features of RoIs.

        Args:
          features: [B, R, n, n, D].
          units: of the two fully connected layers.
          norm, epsilon: see `ConvNorm`.

        Returns:
          {class_logits: float32 [B, R, C + 1], background last; deltas: float32
          [B, R, C, 4]}.
        """
        count = self._mode.num_classes
        if norm == "group_norm":
            # Units have no spatial extent: statistics of groups of eight would erase
            # them.
            norm = "none"
        x = two_fc_layers(merge_roi_axis(features), units, norm, "actor", epsilon)
        logits = output_layer(x, count + 1, "actor_logits")
        deltas = output_layer(x, 4 * count, "actor_deltas")
        return {
            "class_logits": split_roi_axis(logits, features, count + 1),
            "deltas": split_roi_axis(deltas, features, count, 4),
        }

    def class_names(self) -> list[tuple[str, ...]]:
        """Return the names of each class without background, our own first."""
        return self._mode.classes()

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the layers of classes, background last, and of boxes; see `Head`."""
        return {
            "actor_logits": [*self.class_names(), (BACKGROUND,)],
            "actor_deltas": self.class_names(),
        }

    def input_layers(self) -> list[str]:
        """Return the first layer, which may read both streams; see `Head`."""
        return ["actor_fc1"]

    def terms(
        self,
        head_inputs: HeadInputs,
        rois: SampledRois,
        truth: BatchTruth,
        settings: LossSettings,
    ) -> Terms:
        """Return the terms of the RoIs' classes and the positives' boxes (Eq. 1, 2)."""
        with tf.name_scope("targets"):
            classes, true_deltas = self.targets(rois, truth)
        deltas = head_inputs.roi_outputs["deltas"]
        logits = head_inputs.roi_outputs["class_logits"]
        # RoIs of background have the class C; they do not count for boxes.
        box_classes = tf.minimum(classes, deltas.shape[2] - 1)
        class_deltas = tf.gather(deltas, box_classes, batch_dims=2)
        box = losses.box_regression(
            class_deltas,
            true_deltas,
            rois.positive,
            rois.counted,
            beta=1.0,
            normaliser=settings.box_normaliser,
        )
        return {
            "box_reg": [box],
            "actor_cls": [losses.actor_class(logits, classes, rois.counted)],
        }

    def targets(
        self, rois: SampledRois, truth: BatchTruth
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the true class of each row, [B, R], and its true deltas, [B, R, 4].

        RoIs of background have the class C and deltas of 0.
        """
        deltas = self.coder.encode(rois.gather_matches(truth.boxes), rois.boxes)
        classes = self.classes(rois, truth)
        return classes, tf.where(rois.positive[..., None], deltas, 0.0)

    def classes(self, rois: SampledRois, truth: BatchTruth) -> tf.Tensor:
        """Return the true class of each row, int64 [B, R]; C for background."""
        classes = rois.gather_matches(
            self._mode.classes_of(truth.actors, truth.actions)
        )
        return tf.where(rois.positive, classes, self._mode.num_classes)

    def decode(
        self,
        head_inputs: HeadInputs,
        boxes: tf.Tensor,
        valid: tf.Tensor,
        size: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return scores [B, R, C] and boxes [B, R, C, 4] of the classes.

        Args:
          boxes: of the RoIs, [B, R, 4].
          valid: bool [B, R]; other RoIs score 0.
          size: int [B, 2], height and width of the frames inside the canvas.
        """
        row = tf.cast(valid, tf.float32)[..., None]
        probabilities = tf.nn.softmax(head_inputs.roi_outputs["class_logits"])[..., :-1]
        scores = self._mode.suppression_scores(probabilities * row)
        deltas = head_inputs.roi_outputs["deltas"]
        return scores, box_ops.clip(self.coder.decode(deltas, boxes[:, :, None]), size)

    def scores_of_instances(
        self, head_inputs: HeadInputs, valid: tf.Tensor
    ) -> tf.Tensor:
        """Return scores [B, R, C] of RoIs that are instances: none is background.

        Args:
          valid: bool [B, R]; other RoIs score 0.
        """
        probabilities = tf.nn.softmax(head_inputs.roi_outputs["class_logits"][..., :-1])
        scores = self._mode.suppression_scores(probabilities)
        # Classes of a detector that belong to no actor have a share, too.
        total = tf.reduce_sum(scores, axis=2, keepdims=True)
        row = tf.cast(valid, tf.float32)[..., None]
        return tf.math.divide_no_nan(scores, total) * row
