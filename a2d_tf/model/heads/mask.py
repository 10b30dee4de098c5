"""The mask head: one mask per class, of which the true or the found one counts
(paper, 3.1).
"""

from __future__ import annotations

from typing import Any, ClassVar

import tensorflow as tf

from a2d_tf.model import losses
from a2d_tf.model.heads import Head
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.layers import ConvNorm, fold, output, unfold
from a2d_tf.model.structures import BatchTruth, Options, Rows, Seen, Terms
from a2d_tf.ops import masks as mask_ops

SIZE = 28
_SKIP = 16  # channels of the image in the mask head


class MaskHead(Head):
    """Masks [B, N, 28, 28] of instances, probabilities inside the box.

    Args:
      actor: the head whose classes it has.
      needs_image: whether the pixels in the box are among the inputs.
    """

    branch: ClassVar[str] = "actor"
    outputs: ClassVar[tuple[str, ...]] = ()
    name: ClassVar[str] = "masks"
    model: tf.keras.Model

    def __init__(self, actor: ActorHead, needs_image: bool) -> None:
        self._actor, self.needs_image = actor, needs_image

    def build(
        self,
        features: tf.Tensor,
        channels: int,
        layers: int,
        *,
        patches: tf.Tensor | None,
        **norm: Any,
    ) -> tf.Tensor:
        """Predict one mask per class: 3x3 convolutions, a transposed one that doubles,
        1x1.

        The convolutions have the norm and the epsilon of the arguments `norm`, see
        `ConvNorm`.

        With `patches` [B * R, 2n, 2n, 3], the image in the boxes, a 3x3 convolution
        reads these, and another merges them with the features before the 1x1, as in a
        refinement module of SharpMask (Pinheiro et al., ECCV 2016).

        Returns:
          logits float32 [B, R, 2n, 2n, C].
        """
        x = fold(features)
        size = 2 * x.shape[1]
        for layer in range(layers):
            x = ConvNorm(channels, 3, name=f"mask_conv{layer + 1}", **norm)(x)
        doubling = {
            "strides": 2,
            "activation": "relu",
            "kernel_initializer": "he_normal",
        }
        x = tf.keras.layers.Conv2DTranspose(
            channels, 2, name="mask_deconv", **doubling
        )(x)
        if patches is not None:
            skip = ConvNorm(_SKIP, 3, name="patch_skip")(patches)
            merged = tf.concat([x, skip], axis=-1)
            x = ConvNorm(channels, 3, name="patch_merge", **norm)(merged)
        count = len(self._actor.class_layers()["actor_deltas"])
        return unfold(output(x, count, "mask_logits"), features, size, size, count)

    def layers(self) -> list[tf.keras.layers.Layer]:
        """Return the layers of its model."""
        return self.model.layers

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return that of the logits; see `Head`."""
        return {"mask_logits": self._actor.class_layers()["actor_deltas"]}

    def terms(
        self, seen: Seen, rows: Rows, truth: BatchTruth, options: Options
    ) -> Terms:
        """Return the mask term of the rows that can be positive (3.3).

        Their number is static, so that there is one trace and never an empty batch, and
        small, because mask rows are expensive.
        """
        with tf.name_scope("targets"):
            # Of all rows, as in the actor head: the graph then computes them once.
            classes = self._actor.classes(rows, truth)[:, : options.most_positives]
        rows = rows.first(options.most_positives)
        logits = self._logits(seen, rows.rois)
        with tf.name_scope("targets"):
            masks = mask_ops.crop_targets(
                truth.masks, rows.rois, rows.match, logits.shape[2]
            )
        own = _of_classes(logits, tf.minimum(classes, logits.shape[-1] - 1))
        return {
            "mask": [
                losses.mask(own, masks, rows.positive & rows.matched(truth.has_mask))
            ]
        }

    def decode(self, seen: Seen, boxes: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Return the mask of each instance's class."""
        return tf.sigmoid(_of_classes(self._logits(seen, boxes), classes))

    def _logits(self, seen, boxes):
        inputs = {"actor": seen.features.actor, "rois": boxes}
        if self.needs_image:
            inputs["rgb"] = seen.image
        return self.model(inputs, training=seen.training)


def _of_classes(logits, classes):
    """Pick each row's logits by its class: [B, N, m, m, C], [B, N] -> [B, N, m, m]."""
    return tf.gather(tf.transpose(logits, [0, 1, 4, 2, 3]), classes, batch_dims=2)


class BoxMasks:
    """Masks that fill the boxes, where the network has no masks (boxes alone are
    annotated).
    """

    name: ClassVar[str] = "masks"
    needs_image = False

    def decode(self, seen: Seen, boxes: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Return ones [B, N, 28, 28]."""
        return tf.ones_like(tf.tile(boxes[..., :1, None], [1, 1, SIZE, SIZE]))
