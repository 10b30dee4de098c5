"""Group normalisation with a gradient that is written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from a2d_tf.model.autograph import without_autograph


class GroupNorm(tf.keras.layers.Layer):
    """Group normalisation (Wu and He 2018) in groups of eight channels.

    If eight does not divide the number of channels C, a group has gcd(C, 8) channels.
    Statistics are over a group's channels and all cells of a frame. The gradient is
    written out, since TensorFlow derives it in four times as many operations.

    Args:
      epsilon: added to the variance.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, shape: tf.TensorShape) -> None:
        """Create gamma and beta, float32 [C].

        Args:
          shape: the input's shape, [N, H, W, C].
        """
        self.gamma = self._channel_weight("gamma", shape[-1], "ones")
        self.beta = self._channel_weight("beta", shape[-1], "zeros")

    @without_autograph
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalise features, then scale and shift their channels by gamma and beta.

        Args:
          x: [N, H, W, C] with static H, W and C.
          training: whether a gradient may be taken; if not, the graph of an export gets
            no operation for it.

        Returns:
          [N, H, W, C] in the dtype of `x`.
        """
        gamma = tf.convert_to_tensor(self.gamma)
        beta = tf.convert_to_tensor(self.beta)
        if training:
            return tf.custom_gradient(self._normalise)(x, gamma, beta)
        # Without the operation for a gradient in what is exported.
        normalised, _ = self._normalise(x, gamma, beta)
        return normalised

    def _channel_weight(
        self, name: str, channels: int, initializer: str
    ) -> tf.Variable:
        return self.add_weight(
            name,
            [channels],
            dtype=tf.float32,
            initializer=initializer,
            experimental_autocast=False,
        )

    def _normalise(
        self, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor
    ) -> tuple[tf.Tensor, Callable]:
        """Return x normalised, and the function that backpropagates to arguments."""
        _, height, width, channels = x.shape
        size = math.gcd(channels, 8)
        # Each of these would be a node of its own wherever it stands.
        grouped = tf.constant([-1, channels // size, size])
        per_channel = tf.constant([-1, 1, 1, channels])
        spatial_axes = tf.constant([1, 2])
        channel_axis = tf.constant(2)

        def channel_means(values: tf.Tensor) -> tf.Tensor:
            # Reduce per channel first, over contiguous memory; the groups are tiny
            # after that.
            return tf.reshape(tf.reduce_mean(values, spatial_axes), grouped)

        def group_means(values: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(values, channel_axis, keepdims=True)

        wide = tf.cast(x, tf.float32)
        mean = group_means(channel_means(wide))
        variance = group_means(channel_means(tf.square(wide))) - tf.square(mean)
        inverse = tf.math.rsqrt(tf.nn.relu(variance) + self.epsilon)
        gamma = tf.reshape(gamma, grouped)
        beta = tf.reshape(beta, grouped)
        scale = inverse * gamma
        factor = tf.reshape(scale, per_channel)
        shift = tf.reshape(beta - mean * scale, per_channel)

        def backpropagate(
            upstream: tf.Tensor,
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # y = x * scale + shift, and both depend on x by its mean m and its variance
            # v: dx = dy * scale + 2 x dv + dm, where dv and dm are already means over a
            # group.
            dy = tf.cast(upstream, tf.float32)
            dshift = channel_means(dy)
            dscale = channel_means(dy * wide) - mean * dshift
            dvariance = tf.raw_ops.RsqrtGrad(y=inverse, dy=group_means(dscale * gamma))
            dvariance = tf.raw_ops.ReluGrad(gradients=dvariance, features=variance)
            slope = dvariance + dvariance
            offset = -(group_means(dshift * scale) + mean * slope)
            ones = tf.ones([1, 1, size])
            slope = tf.reshape(slope * ones, per_channel)
            offset = tf.reshape(offset * ones, per_channel)
            dx = dy * factor + (wide * slope + offset)
            cells = float(height * width)
            dgamma = tf.reduce_sum(dscale * inverse, axis=0) * cells
            dbeta = tf.reduce_sum(dshift, axis=0) * cells
            return (
                tf.cast(dx, x.dtype),
                tf.reshape(dgamma, [channels]),
                tf.reshape(dbeta, [channels]),
            )

        normalised = x * tf.cast(factor, x.dtype) + tf.cast(shift, x.dtype)
        return normalised, backpropagate
