"""The mask head: a mask for each class; that of the instance's class counts (3.1)."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model import losses
from a2d_tf.model.building import PIXEL_DEVIATION, Builder
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.heads.base import InstanceHead
from a2d_tf.model.layers import ConvNorm, merge_roi_axis, output_layer, split_roi_axis
from a2d_tf.model.structures import (
    BatchTruth,
    HeadInputs,
    LossSettings,
    SampledRois,
    Terms,
)
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops.crop import crop_patches

SIZE = 28
"""Side of a mask in cells."""
_SKIP_CHANNELS = 16  # the mask head's channels of features of the pixels


class MaskHead(InstanceHead):
    """The mask head of Mask R-CNN: a mask for each class of the actor head (3.1).

    Its result is `masks`, float32 [B, N, 28, 28]: probabilities on a grid inside the
    box of each instance.

    Args:
      actor: the actor head, which has the same classes.
      needs_image: whether the pixels in the box are among the inputs (--mask_image).
    """

    branch: ClassVar[str] = "actor"
    loss_terms: ClassVar[tuple[str, ...]] = ("mask",)
    result: ClassVar[str] = "masks"
    setting: ClassVar[str] = "use_mask"
    part: ClassVar[str] = "mask_head"
    features: ClassVar[tuple[str, ...]] = ("actor",)

    def __init__(self, actor: ActorHead, needs_image: bool) -> None:
        self._actor = actor
        self.needs_image = needs_image

    @classmethod
    def make(cls, config: ModelConfig, actor: ActorHead) -> MaskHead:
        """Make the mask head by the settings of a network, without its model.

        Args:
          config: settings of the network's structure; `mask_image` is read.
          actor: the actor head, whose classes the masks are for.
        """
        return cls(actor, config.mask_image)

    def build_model(self, builder: Builder) -> tf.keras.Model:
        """Build its model: 3x3 convolutions, a transposed one that doubles, 1x1.

        With --mask_image, a 3x3 convolution reads the pixels in the boxes, and another
        merges them with the features before the 1x1, as in a refinement module of
        SharpMask (Pinheiro et al., ECCV 2016).

        Args:
          builder: builds inputs and RoIAlign by the settings of the network.

        Returns:
          the submodel {actor: P2 to P5, rois: float32 [B, R, 4], rgb: uint8 [B, H, W,
          3] with --mask_image} -> logits float32 [B, R, 28, 28, C], a mask per class.
        """
        config = builder.config
        norm: dict = {"norm": config.norm, "epsilon": builder.convention.epsilon}
        channels = config.mask_channels
        pyramid = builder.pyramid()
        rois = builder.rois()
        inputs = {"actor": pyramid, "rois": rois}
        features = builder.roi_align(pyramid, rois, SIZE // 2, "roi_align_mask")
        if self.needs_image:
            inputs["rgb"] = builder.rgb()
            image = builder.convention.preprocess(inputs["rgb"])
            # The levels of any convention become small numbers.
            image *= min(1.0, builder.convention.std[0] / PIXEL_DEVIATION)
            patches = crop_patches(image, rois, SIZE)

        x = merge_roi_axis(features)
        for layer in range(config.mask_layers):
            x = ConvNorm(channels, 3, name=f"mask_conv{layer + 1}", **norm)(x)
        x = tf.keras.layers.Conv2DTranspose(
            channels,
            2,
            strides=2,
            activation="relu",
            kernel_initializer="he_normal",
            name="mask_deconv",
        )(x)
        if self.needs_image:
            skip = ConvNorm(_SKIP_CHANNELS, 3, name="patch_skip")(patches)
            merged = tf.concat([x, skip], axis=-1)
            x = ConvNorm(channels, 3, name="patch_merge", **norm)(merged)
        count = len(self._actor.class_names())
        logits = split_roi_axis(
            output_layer(x, count, "mask_logits"), features, SIZE, SIZE, count
        )
        return tf.keras.Model(inputs, logits, name=self.part)

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return the layer with a row of weights for each class: the 1x1 of the logits.

        When pretrained weights are loaded, it is filled class by class, by name.

        Returns:
          {mask_logits: a tuple of names for each class of the actor head, background
          not among them}.
        """
        return {"mask_logits": self._actor.class_names()}

    def terms(
        self,
        head_inputs: HeadInputs,
        rois: SampledRois,
        truth: BatchTruth,
        settings: LossSettings,
    ) -> Terms:
        """Compute the mask loss on the mask of each positive's true class (3.3).

        Only the first RoIs of a frame, among which all positives are, pass through the
        head. Their number is static, so that there is one trace and never an empty
        batch, and small, because masks are expensive.

        Args:
          head_inputs: features of the key frames.
          rois: the sampled RoIs, positives first.
          truth: the true instances; positives whose instance has no mask do not count.
          settings: its `most_positives` is the number of RoIs per frame that are read.

        Returns:
          {mask: [binary cross-entropy of the pixels]}, as a sum over RoIs and its
          divisor.
        """
        with tf.name_scope("targets"):
            # Of all RoIs, as in the actor head: the graph then computes them once.
            classes = self._actor.classes(rois, truth)[:, : settings.most_positives]
        rois = rois.first(settings.most_positives)
        logits = self.run(head_inputs, rois.boxes)
        with tf.name_scope("targets"):
            masks = mask_ops.crop_targets(
                truth.masks, rois.boxes, rois.match, logits.shape[2]
            )
        # RoIs of background have the class C; they do not count.
        classes = tf.minimum(classes, logits.shape[-1] - 1)
        class_logits = pick_classes(logits, classes)
        counted = rois.positive & rois.gather_matches(truth.has_mask)
        return {"mask": [losses.mask(class_logits, masks, counted)]}

    def decode(
        self, head_inputs: HeadInputs, boxes: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """Compute the mask of each instance, that of its class.

        Args:
          head_inputs: features and image of the key frames.
          boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
          classes: int32 [B, N], 0-based classes of the actor head.

        Returns:
          probabilities float32 [B, N, 28, 28] on a grid inside each box.
        """
        return tf.sigmoid(pick_classes(self.run(head_inputs, boxes), classes))


def pick_classes(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Pick from the masks of all classes that of each row's class.

    Args:
      logits: [B, N, m, m, C].
      classes: int [B, N], from 0 to C - 1.

    Returns:
      [B, N, m, m].
    """
    return tf.gather(tf.transpose(logits, [0, 1, 4, 2, 3]), classes, batch_dims=2)


class BoxMasks(InstanceHead):
    """Masks that fill the boxes, for a network without mask head and refiner.

    Such a network has learned from boxes alone. It has no model and no loss.
    """

    result: ClassVar[str] = "masks"

    def decode(
        self, head_inputs: HeadInputs, boxes: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """Return masks of ones, float32 [B, N, 28, 28], for boxes [B, N, 4].

        Args:
          head_inputs: not read.
          boxes: float32 [B, N, 4], whose number of rows is read.
          classes: not read.
        """
        return tf.ones_like(tf.tile(boxes[..., :1, None], [1, 1, SIZE, SIZE]))
