"""The layers that the network is built of: convolutions with their norms.

A norm's statistics, scales and offsets are float32 in any precision.
"""

from __future__ import annotations

import contextvars
import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

FROZEN = ("frozen_bn", "frozen_stats")
# Output layers start near zero, so that an untrained network predicts all classes
# alike.
OUTPUT_STDDEV = 0.01

_Call = TypeVar("_Call", bound=Callable[..., Any])


def plain(call: _Call) -> _Call:
    """Mark a layer's `call` as one without `if` or `for` on tensors.

    Keras converts any other `call` by AutoGraph, which takes longer than building the
    layer.
    """
    unconverted = tf.autograph.experimental.do_not_convert(call)
    # Keras reads the names of the arguments there.
    unconverted.__signature__ = inspect.signature(call)
    return unconverted


class GroupNorm(tf.keras.layers.Layer):
    """Group normalisation (Wu and He 2018) in groups of eight channels.

    Groups are smaller where eight does not divide the channels. The gradient is written
    out, since TensorFlow derives it in four times as many operations.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, shape: tf.TensorShape) -> None:
        options = {
            "shape": [shape[-1]],
            "dtype": tf.float32,
            "experimental_autocast": False,
        }
        self.gamma = self.add_weight("gamma", initializer="ones", **options)
        self.beta = self.add_weight("beta", initializer="zeros", **options)

    @plain
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        weights = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if training:
            return tf.custom_gradient(self._normalised)(x, *weights)
        # no operation for a gradient in what is exported
        return self._normalised(x, *weights)[0]

    def _normalised(self, x, gamma, beta):
        """Return the normalised x, and the function from its gradient to those of
        the arguments.
        """
        _, height, width, channels = x.shape
        size = math.gcd(channels, 8)
        # Each of these would be a node of its own wherever it stands.
        grouped, per_channel = [-1, channels // size, size], [-1, 1, 1, channels]
        grouped, per_channel, area, last = map(
            tf.constant, (grouped, per_channel, [1, 2], 2)
        )

        def of_channels(values: tf.Tensor) -> tf.Tensor:
            # Reduce per channel first, over contiguous memory; the groups are tiny
            # after that.
            return tf.reshape(tf.reduce_mean(values, area), grouped)

        def of_groups(values: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(values, last, keepdims=True)

        wide = tf.cast(x, tf.float32)
        mean = of_groups(of_channels(wide))
        variance = of_groups(of_channels(tf.square(wide))) - tf.square(mean)
        inverse = tf.math.rsqrt(tf.nn.relu(variance) + self.epsilon)
        gamma, beta = tf.reshape(gamma, grouped), tf.reshape(beta, grouped)
        scale = inverse * gamma
        factor, shift = (
            tf.reshape(y, per_channel) for y in (scale, beta - mean * scale)
        )

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # y = x * scale + shift, and both depend on x by its mean m and its variance
            # v: dx = dy * scale + 2 x dv + dm, where dv and dm are already means over a
            # group.
            up = tf.cast(upstream, tf.float32)
            of_shift = of_channels(up)
            of_scale = of_channels(up * wide) - mean * of_shift
            of_variance = tf.raw_ops.RsqrtGrad(
                y=inverse, dy=of_groups(of_scale * gamma)
            )
            of_variance = tf.raw_ops.ReluGrad(gradients=of_variance, features=variance)
            slope = of_variance + of_variance
            offset = -(of_groups(of_shift * scale) + mean * slope)
            ones = tf.ones([1, 1, size])
            slope, offset = (tf.reshape(y * ones, per_channel) for y in (slope, offset))
            of_x = up * factor + (wide * slope + offset)
            sums = (tf.reduce_sum(y, axis=0) for y in (of_scale * inverse, of_shift))
            of_gamma, of_beta = (
                tf.reshape(y * float(height * width), [channels]) for y in sums
            )
            return tf.cast(of_x, x.dtype), of_gamma, of_beta

        return x * tf.cast(factor, x.dtype) + tf.cast(shift, x.dtype), gradient


class ConvNorm(tf.keras.layers.Layer):
    """Convolution, normalisation, optional ReLU.

    `frozen_bn` holds gamma, beta, mean and variance as constants and folds them into
    the kernel at each step, W * gamma / sqrt(variance + epsilon): the gradient of W is
    exact, and normalising costs no pass over the activations. In `frozen_stats` gamma
    and beta are trained, as in matterport's and the authors' code. `none` has a bias
    instead.

    Under a mixed precision policy the folded kernel is computed in float32, then
    rounded.

    Args:
      filters: output channels.
      size: side of the kernel.
      norm: one of `config.NORMS`.
      relu: whether a ReLU follows.
      epsilon: of the normalisation.
      padding: 'same' or 'valid'.
      stddev: of a normal kernel initialiser; by default He's with a ReLU and LeCun's
        without.
      gain: initial gamma under a frozen norm.
    """

    rectify = staticmethod(tf.nn.relu)

    def __init__(
        self,
        filters: int | None,
        size: int,
        strides: int = 1,
        norm: str = "none",
        *,
        relu: bool = True,
        epsilon: float = 1e-5,
        padding: str = "same",
        stddev: float | None = None,
        gain: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.size, self.strides, self.norm = filters, size, strides, norm
        self.relu, self.epsilon, self.padding = relu, epsilon, padding.upper()
        self.stddev, self.gain = stddev, gain

    def build(self, shape: tf.TensorShape) -> None:
        kernel = [self.size, self.size, shape[-1], self.filters]
        init = "he_normal" if self.relu else "lecun_normal"
        if self.stddev:
            init = tf.keras.initializers.RandomNormal(stddev=self.stddev)
        self.kernel = self._weight("kernel", kernel, initializer=init)
        if self.norm in FROZEN:
            start = (("gamma", self.gain), ("beta", 0), ("mean", 0), ("variance", 1))
            for name, value in start:
                trainable = self.norm == "frozen_stats" and name in ("gamma", "beta")
                options = {"initializer": tf.keras.initializers.Constant(value)}
                weight = self._weight(
                    name, [self.filters], trainable=trainable, **options
                )
                setattr(self, name, weight)
        elif self.norm == "group_norm":
            self.normalise = GroupNorm(self.epsilon, name="gn", dtype=self.dtype_policy)
        else:
            self.bias = self._weight("bias", [self.filters], initializer="zeros")

    def _weight(self, name, shape, **options):
        return self.add_weight(name, shape, experimental_autocast=False, **options)

    @plain
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if self.norm == "group_norm":
            x = self.convolve(x, tf.cast(self.kernel, x.dtype))
            x = self.normalise(x, training=training)
        else:
            kernel, bias = self.folded()
            x = self.convolve(x, tf.cast(kernel, x.dtype))
            x = tf.nn.bias_add(x, tf.cast(bias, x.dtype))
        return self.rectify(x) if self.relu else x

    def folded(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return (kernel, bias) of the equivalent convolution without its frozen
        norm.
        """
        if self.norm == "none":
            return self.kernel, self.bias
        joined = _FOLDED.get().get(id(self))
        if joined:
            return joined
        scale, offset = _affine(self.statistics(), self.epsilon)
        return self.kernel * scale, offset

    def statistics(self) -> tuple[tf.Tensor, ...]:
        """Return gamma, beta, mean and variance of a frozen norm."""
        return self.gamma, self.beta, self.mean, self.variance

    def convolve(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve x [N, H, W, C] with a kernel of this layer's shape."""
        once = self.size == 1 or self.padding == "VALID"
        if once and x.shape[1:3] == kernel.shape[:2]:
            # A fully connected layer. The convolution would first reorder the whole
            # kernel: for the 64 RoIs of a head it takes twice as long, gradients
            # included.
            flat = tf.reshape(x, [-1, math.prod(kernel.shape[:3])])
            x = tf.matmul(flat, tf.reshape(kernel, [-1, self.filters]))
            return tf.reshape(x, [-1, 1, 1, self.filters])
        return tf.nn.conv2d(x, kernel, self.strides, self.padding)


_FOLDED: contextvars.ContextVar[dict] = contextvars.ContextVar("folded", default={})
"""{id of a layer: its (kernel, bias)} inside of `JoinedNorms`."""


class JoinedNorms(tf.keras.Model):
    """A functional model that folds all its frozen norms at once.

    That takes a few operations rather than five for each norm.
    """

    on_gpu = False  # set by the network

    @plain
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        folded: dict = {}
        # Apart, so that constants get no gradient. On a GPU that takes less time than
        # the launches.
        for norms in (FROZEN,) if self.on_gpu else ((norm,) for norm in FROZEN):
            layers = [x for x in self.layers if getattr(x, "norm", None) in norms]
            folded.update(_fold(layers, self.on_gpu))
        before = _FOLDED.set(folded)
        try:
            return super().call(inputs, training, mask)
        finally:
            _FOLDED.reset(before)


def _fold(layers, on_gpu):
    """Fold the norms of layers: {id of a layer: its (kernel, bias)}."""
    if not layers:
        return {}
    layers = sorted(layers, key=_shape)
    statistics = [
        tf.concat(parts, axis=0) for parts in zip(*(x.statistics() for x in layers))
    ]
    sizes = [layer.beta.shape[0] for layer in layers]
    epsilons = np.repeat(np.array([x.epsilon for x in layers], np.float32), sizes)
    scales, biases = _affine(statistics, epsilons)
    folded = {}
    kernels = _scaled(layers, scales, on_gpu)
    for layer, kernel, bias in zip(layers, kernels, tf.split(biases, sizes)):
        # else no sum of the activations' gradient
        trained = layer.norm == "frozen_stats"
        folded[id(layer)] = kernel, bias if trained else tf.stop_gradient(bias)
    return folded


def _shape(layer):
    return tuple(layer.kernel.shape)


def _scaled(layers, scales, on_gpu):
    """Return the kernels of layers, which are sorted by shape, times the scales of all
    of them.

    On a GPU, kernels of one shape are stacked and multiplied at once: a launch takes as
    long as copying some megabytes.
    """
    groups = [[layer] for layer in layers]
    if on_gpu:
        groups = [list(group) for _, group in itertools.groupby(layers, _shape)]
    kernels = []
    factors = tf.split(scales, [len(group) * group[0].filters for group in groups])
    for group, factor in zip(groups, factors):
        if len(group) == 1:
            kernels.append(group[0].kernel * factor)
        else:
            stacked = tf.stack([layer.kernel for layer in group])
            stacked *= tf.reshape(factor, [len(group), 1, 1, 1, -1])
            kernels += tf.unstack(tf.cast(stacked, group[0].compute_dtype))
    return kernels


def _affine(statistics, epsilon):
    gamma, beta, mean, variance = statistics
    scale = gamma * tf.math.rsqrt(variance + epsilon)
    return scale, beta - mean * scale


class Function(tf.keras.layers.Layer):
    """A function of tensors as a layer, which the model's summary shows by name."""

    def __init__(self, function: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function

    @plain
    def call(self, inputs: list) -> Any:
        return self.function(*inputs)


def fold(x: tf.Tensor) -> tf.Tensor:
    """Merge the axes B and R of features of RoIs [B, R, n, n, C]."""
    return tf.reshape(x, [-1, *x.shape[2:]])


def unfold(x: tf.Tensor, rois: tf.Tensor, *shape: int) -> tf.Tensor:
    """Return x float32 [B, R, *shape], with B and R as in `rois`."""
    x = tf.reshape(x, [-1, rois.shape[1] or tf.shape(rois)[1], *shape])
    return tf.cast(x, tf.float32)


def hidden(
    x: tf.Tensor, units: int, norm: str, name: str, epsilon: float = 1e-5
) -> tf.Tensor:
    """Apply the two fully connected layers of Fast R-CNN, as convolutions: n x n,
    then 1x1.
    """
    options: dict = {"norm": norm, "epsilon": epsilon}
    x = ConvNorm(units, x.shape[1], padding="valid", name=f"{name}_fc1", **options)(x)
    return ConvNorm(units, 1, name=f"{name}_fc2", **options)(x)


def output(x: tf.Tensor, channels: int, name: str) -> tf.Tensor:
    """Apply the last layer of a head, a 1x1 convolution."""
    return ConvNorm(channels, 1, relu=False, stddev=OUTPUT_STDDEV, name=name)(x)
