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
    """The head of classes and boxes: the classes are the actors (paper, 3.1).

    With cartesian labels they are the valid pairs. C is their number, without
    background.

    Args:
      mode: the label mode, which decides what the classes are.
      coder: converts boxes to deltas from RoIs, and back.

    Attributes:
      coder: the converter between boxes and deltas from RoIs.
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
        """Build the layers: two fully connected ones, then logits and deltas.

        Args:
          features: [B, R, n, n, D], features of R RoIs per frame on n x n cells.
          units: number of units of the two fully connected layers.
          norm: their normalisation, 'frozen_bn', 'frozen_stats', 'group_norm' or
            'none'; group norm counts as none.
          epsilon: added to the variance in the normalisation.

        Returns:
          {class_logits: float32 [B, R, C + 1], background last; deltas: float32 [B, R,
          C, 4], (dy, dx, dh, dw) of each class}.
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
        """Return the names of the classes in the order of their logits.

        Background is not among them.

        Returns:
          for each class a tuple: its name in this network, then names that it may have
          in weights of other networks.
        """
        return self._mode.classes()

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the layers with weights for each class: logits and box deltas.

        When pretrained weights are loaded, they are filled class by class, by name.

        Returns:
          {actor_logits: the names of each class, background last; actor_deltas: the
          names of each class}. A class has a tuple of names, that in this network
          first.
        """
        return {
            "actor_logits": [*self.class_names(), (BACKGROUND,)],
            "actor_deltas": self.class_names(),
        }

    def input_layers(self) -> list[str]:
        """Return the name of the first layer, which reads the features of RoIs.

        With cartesian labels its input channels may be those of RGB, then those of
        flow; it can start from the weights of a network without flow.
        """
        return ["actor_fc1"]

    def terms(
        self,
        head_inputs: HeadInputs,
        rois: SampledRois,
        truth: BatchTruth,
        settings: LossSettings,
    ) -> Terms:
        """Compute the loss of the RoIs' classes and of the positives' boxes (Eq. 1, 2).

        Args:
          head_inputs: outputs of the RoI heads for these RoIs.
          rois: the sampled RoIs, with the instances they are matched to.
          truth: the true instances.
          settings: its `box_normaliser` says what the box loss is divided by.

        Returns:
          {box_reg: [smooth L1 of the deltas of the true class], actor_cls: [-log
          p(class), background included]}, each as a sum and its divisor.
        """
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
        """Return what the head should predict for sampled RoIs.

        RoIs of background have the class C and deltas of 0.

        Args:
          rois: the sampled RoIs, with the instances they are matched to.
          truth: the true instances.

        Returns:
          (true classes int64 [B, R], true deltas (dy, dx, dh, dw) float32 [B, R, 4]
          from each RoI to its instance).
        """
        deltas = self.coder.encode(rois.gather_matches(truth.boxes), rois.boxes)
        classes = self.classes(rois, truth)
        return classes, tf.where(rois.positive[..., None], deltas, 0.0)

    def classes(self, rois: SampledRois, truth: BatchTruth) -> tf.Tensor:
        """Return the true class of each sampled RoI.

        Args:
          rois: the sampled RoIs, with the instances they are matched to.
          truth: the true instances.

        Returns:
          int64 [B, R]; C, the number of classes, for background.
        """
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
        """Turn the head's outputs into scores and boxes of the classes.

        Args:
          head_inputs: outputs of the RoI heads for these RoIs.
          boxes: float32 [B, R, 4], the RoIs, (y1, x1, y2, x2) in pixels of the padded
            canvas.
          valid: bool [B, R], which rows are RoIs; others score 0.
          size: int [B, 2], height and width in pixels of the frames inside the padded
            canvas.

        Returns:
          (scores float32 [B, R, C], p(class) without background, as suppression ranks
          them; boxes float32 [B, R, C, 4], one for each class, clipped to the frame).
        """
        row = tf.cast(valid, tf.float32)[..., None]
        probabilities = tf.nn.softmax(head_inputs.roi_outputs["class_logits"])[..., :-1]
        scores = self._mode.suppression_scores(probabilities * row)
        deltas = head_inputs.roi_outputs["deltas"]
        return scores, box_ops.clip(self.coder.decode(deltas, boxes[:, :, None]), size)

    def scores_of_instances(
        self, head_inputs: HeadInputs, valid: tf.Tensor
    ) -> tf.Tensor:
        """Return p(class) of RoIs that are known to be instances: none is background.

        The scores of an instance add up to 1.

        Args:
          head_inputs: outputs of the RoI heads for these RoIs.
          valid: bool [B, R], which rows are instances; others score 0.

        Returns:
          float32 [B, R, C].
        """
        probabilities = tf.nn.softmax(head_inputs.roi_outputs["class_logits"][..., :-1])
        scores = self._mode.suppression_scores(probabilities)
        # Classes of a detector that belong to no actor have a share, too.
        total = tf.reduce_sum(scores, axis=2, keepdims=True)
        row = tf.cast(valid, tf.float32)[..., None]
        return tf.math.divide_no_nan(scores, total) * row
