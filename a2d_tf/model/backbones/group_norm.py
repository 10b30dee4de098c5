"""Group normalisation (Wu and He 2018), with its gradient in few operations.

TensorFlow derives it step by step: a graph of 147 nodes, 12 of them over whole maps. Written out
it has 39, of them 7 over whole maps.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from a2d_tf.model.autograph import plain

_GROUP_CHANNELS = 8
_DERIVED = contextvars.ContextVar("derived", default=False)


@contextlib.contextmanager
def derived_gradients() -> Iterator[None]:
    """Let TensorFlow derive the gradients of the norms that are called inside.

    For XLA, which joins their steps by itself, and would keep the input of a written-out one twice.
    """
    before = _DERIVED.set(True)
    try:
        yield
    finally:
        _DERIVED.reset(before)


class GroupNorm(tf.keras.layers.Layer):
    """Group normalisation in groups of eight channels.

    Groups are smaller where eight does not divide the channels.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, shape: tf.TensorShape) -> None:
        channels = shape[-1]
        self.groups = channels // math.gcd(channels, _GROUP_CHANNELS)
        # Statistics, scale and offset are float32 in any precision.
        options = {"shape": [channels], "dtype": tf.float32, "experimental_autocast": False}
        self.gamma = self.add_weight("gamma", initializer="ones", **options)
        self.beta = self.add_weight("beta", initializer="zeros", **options)

    @plain
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        def normalise(x, gamma, beta):
            return normalised(x, gamma, beta, self.groups, self.epsilon)

        weights = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if training and not _DERIVED.get():
            return tf.custom_gradient(normalise)(x, *weights)
        return normalise(x, *weights)[0]  # no operation for a gradient in what is exported


def normalised(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, groups: int, epsilon: float
) -> tuple[tf.Tensor, Callable]:
    """Normalise groups of channels to mean 0 and variance 1, then scale and shift each channel.

    Args:
      x: [N, H, W, C], H and W static; gamma, beta: float32 [C].
      groups: their number, a divisor of C.
      epsilon: added to the variance.

    Returns:
      [N, H, W, C] of the dtype of x, and the function from its gradient to those of the tensors.
    """
    _, height, width, channels = x.shape
    # Each of these would be a node of its own wherever it stands.
    grouped, per_channel = [-1, groups, channels // groups], [-1, 1, 1, channels]
    grouped, per_channel, area, last = map(tf.constant, (grouped, per_channel, [1, 2], 2))

    def of_channels(values):
        # Reduce per channel first, over contiguous memory; the groups are tiny after that.
        return tf.reshape(tf.reduce_mean(values, area), grouped)

    def of_groups(values):
        return tf.reduce_mean(values, last, keepdims=True)

    wide = tf.cast(x, tf.float32)
    mean = of_groups(of_channels(wide))
    variance = of_groups(of_channels(tf.square(wide))) - tf.square(mean)
    inverse = tf.math.rsqrt(tf.nn.relu(variance) + epsilon)
    gamma, beta = tf.reshape(gamma, grouped), tf.reshape(beta, grouped)
    scale = inverse * gamma
    factor, shift = (tf.reshape(y, per_channel) for y in (scale, beta - mean * scale))

    scope = tf.get_current_name_scope()

    def gradient(upstream):
        with tf.name_scope(f"gradient_tape/{scope}/"):  # as TensorFlow has it, for profiles
            return of_inputs(upstream)

    def of_inputs(upstream):
        # y = x * scale + shift, and both depend on x by its mean m and its variance v:
        # dx = dy * scale + 2 x dv + dm, where dv and dm are already means over a group's pixels.
        up = tf.cast(upstream, tf.float32)
        of_shift = of_channels(up)
        of_scale = of_channels(up * wide) - mean * of_shift
        of_variance = tf.raw_ops.RsqrtGrad(y=inverse, dy=of_groups(of_scale * gamma))
        of_variance = tf.raw_ops.ReluGrad(gradients=of_variance, features=variance)
        slope = of_variance + of_variance
        offset = -(of_groups(of_shift * scale) + mean * slope)
        ones = tf.ones([1, 1, channels // groups])
        slope, offset = (tf.reshape(y * ones, per_channel) for y in (slope, offset))
        of_x = up * factor + (wide * slope + offset)
        sums = (tf.reduce_sum(y, axis=0) for y in (of_scale * inverse, of_shift))
        of_gamma, of_beta = (tf.reshape(y * float(height * width), [channels]) for y in sums)
        return tf.cast(of_x, x.dtype), of_gamma, of_beta

    return x * tf.cast(factor, x.dtype) + tf.cast(shift, x.dtype), gradient
