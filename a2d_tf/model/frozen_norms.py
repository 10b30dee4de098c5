"""Frozen norms, folded into the kernels of their convolutions.

A frozen norm scales and shifts channels by constants, so that a convolution with a
folded kernel and a bias computes the same. A `ConvNorm` asks `fold` for both.

Inside of a `JoinedNorms` model they are there already: before the model runs its
layers, it folds the norms of all of them in a few operations, and `fold` finds the
results in `_FOLDED`.
"""

from __future__ import annotations

import contextvars
import itertools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.model.autograph import without_autograph

FROZEN = ("frozen_bn", "frozen_stats")
"""Values of --norm whose statistics stay as they were loaded."""
_FOLDED: contextvars.ContextVar[dict] = contextvars.ContextVar("folded", default={})
"""{id of a layer: its folded (kernel, bias)}, while a `JoinedNorms` runs."""


class Statistics(NamedTuple):
    """The weights of a frozen norm, a value for each channel."""

    gamma: tf.Tensor
    beta: tf.Tensor
    mean: tf.Tensor
    variance: tf.Tensor


def fold(layer: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the kernel and the bias of a ConvNorm with a frozen norm."""
    joined = _FOLDED.get().get(id(layer))
    if joined:
        return joined
    statistics = Statistics(layer.gamma, layer.beta, layer.mean, layer.variance)
    scale, offset = _affine(statistics, layer.epsilon)
    return layer.kernel * scale, offset


class JoinedNorms(tf.keras.Model):
    """A functional model that folds all its frozen norms at once.

    That takes a few operations rather than five for each norm.
    """

    on_gpu = False  # set by the network

    @without_autograph
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        folded: dict = {}
        if self.on_gpu:
            # All at once: launches take longer than gradients of constants.
            folded.update(_fold_all(self._layers_with(FROZEN), stack_kernels=True))
        else:
            # Each norm by itself, so that the constants of frozen_bn get no gradient.
            for norm in FROZEN:
                folded.update(_fold_all(self._layers_with([norm]), stack_kernels=False))
        before = _FOLDED.set(folded)
        try:
            return super().call(inputs, training, mask)
        finally:
            _FOLDED.reset(before)

    def _layers_with(self, norms):
        """Return its layers with one of these norms."""
        return [x for x in self.layers if getattr(x, "norm", None) in norms]


def _fold_all(layers, stack_kernels):
    """Fold the norms of layers: {id of a layer: its (kernel, bias)}."""
    if not layers:
        return {}
    layers = sorted(layers, key=_kernel_shape)
    joined = Statistics(
        gamma=tf.concat([layer.gamma for layer in layers], axis=0),
        beta=tf.concat([layer.beta for layer in layers], axis=0),
        mean=tf.concat([layer.mean for layer in layers], axis=0),
        variance=tf.concat([layer.variance for layer in layers], axis=0),
    )
    sizes = [layer.beta.shape[0] for layer in layers]
    epsilons = np.array([layer.epsilon for layer in layers], np.float32)
    scales, biases = _affine(joined, np.repeat(epsilons, sizes))
    if stack_kernels:
        kernels = _scale_stacked(layers, scales)
    else:
        kernels = []
        for layer, scale in zip(layers, tf.split(scales, sizes)):
            kernels.append(layer.kernel * scale)
    folded = {}
    for layer, kernel, bias in zip(layers, kernels, tf.split(biases, sizes)):
        if layer.norm == "frozen_bn":
            # Spares a sum over the gradient of the activations.
            bias = tf.stop_gradient(bias)
        folded[id(layer)] = kernel, bias
    return folded


def _kernel_shape(layer):
    return tuple(layer.kernel.shape)


def _scale_stacked(layers, scales):
    """Return the kernels of layers, sorted by shape, times the scales of all layers.

    Kernels of one shape are stacked and multiplied at once: on a GPU, a launch takes as
    long as copying some megabytes.
    """
    groups = [list(group) for _, group in itertools.groupby(layers, _kernel_shape)]
    sizes = [len(group) * group[0].filters for group in groups]
    kernels = []
    for group, scale in zip(groups, tf.split(scales, sizes)):
        if len(group) == 1:
            kernels.append(group[0].kernel * scale)
        else:
            stacked = tf.stack([layer.kernel for layer in group])
            stacked *= tf.reshape(scale, [len(group), 1, 1, 1, -1])
            kernels += tf.unstack(tf.cast(stacked, group[0].compute_dtype))
    return kernels


def _affine(statistics, epsilon):
    """Return the scale and the offset that normalise by statistics."""
    scale = statistics.gamma * tf.math.rsqrt(statistics.variance + epsilon)
    return scale, statistics.beta - statistics.mean * scale
