"""What the heads share: features of RoIs [B, R, n, n, C], and layers over B and R at once."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from a2d_tf.model.layers import OUTPUT_STDDEV, ConvNorm


class Pooled(NamedTuple):
    """Features of the RoIs, 7x7: RoIAlign-AR of the actor's pyramid, RoIAlign-AN of the action's.

    One is None where no head reads it.
    """

    appearance: tf.Tensor | None
    motion: tf.Tensor | None


def fold(x: tf.Tensor) -> tf.Tensor:
    """Merge the first two axes."""
    return tf.reshape(x, [-1, *x.shape[2:]])


def unfold(x: tf.Tensor, rois: tf.Tensor, *shape: int) -> tf.Tensor:
    """Return x float32 [B, R, *shape], with B and R as in `rois`."""
    x = tf.reshape(x, [-1, rois.shape[1] or tf.shape(rois)[1], *shape])
    return tf.cast(x, tf.float32)


def hidden(x: tf.Tensor, units: int, norm: str, name: str, epsilon: float = 1e-5) -> tf.Tensor:
    """Apply the two fully connected layers of Fast R-CNN, as convolutions: n x n, then 1x1."""
    x = ConvNorm(
        units, x.shape[1], norm=norm, epsilon=epsilon, padding="valid", name=f"{name}_fc1"
    )(x)
    return ConvNorm(units, 1, norm=norm, epsilon=epsilon, name=f"{name}_fc2")(x)


def output(x: tf.Tensor, channels: int, name: str) -> tf.Tensor:
    """Apply the last layer of a head, a 1x1 convolution."""
    return ConvNorm(channels, 1, relu=False, stddev=OUTPUT_STDDEV, name=name)(x)
