"""The base classes of heads, by which network, training and inference use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import tensorflow as tf

from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model.building import Builder
from a2d_tf.model.structures import (
    BatchTruth,
    HeadInputs,
    LossSettings,
    SampledRois,
    Terms,
)
from a2d_tf.model.targets import Rng

if TYPE_CHECKING:
    from a2d_tf.model.heads.actor import ActorHead


class Head:
    """A head behind RoIAlign: its layers, loss terms of sampled RoIs, and decoding.

    Actions are decoded by `LabelMode.score_pairs`, because a label mode decides what a
    pair is.

    Attributes:
      branch: "actor" or "action", the branch that the head belongs to. A training phase
        trains the heads of one branch, or of both (4.3, w/o joint training). "" for a
        head that does not learn from sampled RoIs.
      loss_terms: names of the head's loss terms; --lambda_NAME is the weight of a term.
      outputs: names of the head's outputs in the submodel `Network.roi_heads`; empty if
        the head has a model of its own.
    """

    branch: ClassVar[str] = ""
    loss_terms: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ()

    def layers(self) -> list[tf.keras.layers.Layer]:
        """Return the layers of the head's own Keras model, which a phase may train.

        It is empty for a head whose layers are a part of the submodel `roi_heads`.
        """
        return []

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the layers that have a row of weights for each class.

        When pretrained weights are loaded, such a layer is filled class by class, by
        name. By default there is none.

        Returns:
          {name of the layer: a tuple of names for each class, in the order of its
          outputs}: the class's name in this network first, then names that it may have
          elsewhere.
        """
        return {}

    def input_layers(self) -> list[str]:
        """Return the names of the layers that read the features of RoIs.

        Their input channels are those of RGB, then those of flow if the network reads
        flow. So they can start from the weights of a network without flow. A head that
        never reads flow lists none.
        """
        return []

    def terms(
        self,
        head_inputs: HeadInputs,
        rois: SampledRois,
        truth: BatchTruth,
        settings: LossSettings,
    ) -> Terms:
        """Compute the head's loss terms on the sampled RoIs (Eq. 1).

        Args:
          head_inputs: features, and outputs of the RoI heads for these RoIs.
          rois: the sampled RoIs, with the instances they are matched to.
          truth: the true instances.
          settings: settings of the losses.

        Returns:
          {name in `loss_terms`: list of losses, each as a sum and its divisor}.
        """
        raise NotImplementedError


class InstanceHead(Head):
    """A head with a model of its own, which runs on the instances of a frame.

    `heads.INSTANCE_HEADS` lists the classes of such heads. The network builds those
    that are switched on, after all its other parts. A head with a `branch` learns from
    sampled RoIs, a head with a `phase` learns by itself (`terms_alone`).

    Attributes:
      result: name of the head's result in `BatchInstances.head_results`, such as
        'masks'. The network has one head for each result: the first of `INSTANCE_HEADS`
        that is switched on.
      setting: field of `ModelConfig` that switches the head on; "" for a head that is
        always on.
      part: name of the head's model in `Network.parts` and in checkpoints; "" without a
        model.
      features: names of the pyramids that the model reads, fields of `Features`.
      phase: the --train_phase in which this head learns by itself (`terms_alone`), and
        no other part of the network; "" for none.
      needs_image: whether the model reads the pixels of the key frame.
      model: the head's Keras model: {features, rgb if `needs_image`, rois [B, N, 4]} ->
        outputs of instances.
    """

    result: ClassVar[str]
    setting: ClassVar[str] = ""
    part: ClassVar[str] = ""
    phase: ClassVar[str] = ""
    features: ClassVar[tuple[str, ...]] = ()
    needs_image: bool = False
    model: tf.keras.Model

    @classmethod
    def make(cls, config: ModelConfig, actor: ActorHead) -> InstanceHead:
        """Make the head by a network's settings; `build_model` builds its model later.

        Args:
          config: settings of the network's structure.
          actor: the actor head, for a head with an output for each of its classes.
        """
        return cls()

    def build_model(self, builder: Builder) -> tf.keras.Model:
        """Build the head's own Keras model.

        Its inputs are the pyramids named in `features`, `rois` [B, N, 4], and `rgb`
        uint8 [B, H, W, 3] if `needs_image`; its output has the axes [B, N, ...].

        Args:
          builder: builds inputs, backbones and RoIAlign by the settings of the network.
        """
        raise NotImplementedError

    def layers(self) -> list[tf.keras.layers.Layer]:
        """Return the layers of the head's own Keras model."""
        return self.model.layers

    def terms_alone(
        self, image: tf.Tensor, truth: BatchTruth, number: int, rng: Rng
    ) -> Terms:
        """Compute the loss terms in the head's own phase, without the detector.

        Args:
          image: uint8 [B, H, W, 3], the key frames in RGB on the padded canvas.
          truth: the true instances.
          number: number of samples per frame.
          rng: random numbers.

        Returns:
          {name in `loss_terms`: list of losses, each as a sum and its divisor}.
        """
        raise NotImplementedError

    def run(self, head_inputs: HeadInputs, boxes: tf.Tensor) -> tf.Tensor:
        """Run the head's model on boxes.

        Args:
          head_inputs: features and image of the key frames.
          boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.

        Returns:
          the model's output, [B, N, ...].
        """
        inputs = {name: getattr(head_inputs.features, name) for name in self.features}
        inputs["rois"] = boxes
        if self.needs_image:
            inputs["rgb"] = head_inputs.image
        return self.model(inputs, training=head_inputs.training)

    def decode(
        self, head_inputs: HeadInputs, boxes: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """Compute the head's result for instances, such as their masks.

        Args:
          head_inputs: features and image of the key frames.
          boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
          classes: int32 [B, N], 0-based classes of the actor head.

        Returns:
          [B, N, ...].
        """
        raise NotImplementedError
