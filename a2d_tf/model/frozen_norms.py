"""Frozen norms, folded into the kernels of their convolutions.

A frozen norm scales and shifts channels by constants, so that a convolution with a
folded kernel and a bias computes the same. A `ConvNorm` folds its own by `fold`, unless
it belongs to a `JoinedNorms` model: before the model runs its layers, it folds the
norms of all of them in a few operations, and lends the results to the layers.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from a2d_tf.model.autograph import without_autograph

FROZEN = ("frozen_bn", "frozen_stats")
"""Values of --norm whose statistics stay as they were loaded."""


class Folded(NamedTuple):
    """A convolution that computes the same as one with a frozen norm.

    Attributes:
      kernel: of the convolution.
      bias: a value for each channel.
    """

    kernel: tf.Tensor
    bias: tf.Tensor


class LentFolds(threading.local):
    """What a `JoinedNorms` model lends its layers while it runs in this thread."""

    def __init__(self) -> None:
        self._by_layer: Mapping[str, Folded] = {}

    @contextlib.contextmanager
    def lend(self, by_layer: Mapping[str, Folded]) -> Iterator[None]:
        """Lend {name of a layer: its Folded} inside a `with` block."""
        self._by_layer = by_layer
        try:
            yield
        finally:
            self._by_layer = {}

    def find(self, layer_name: str) -> Folded | None:
        """Return what is lent to a layer; None while the model does not run."""
        return self._by_layer.get(layer_name)


class Statistics(NamedTuple):
    """The weights of a frozen norm, a value for each channel."""

    gamma: tf.Tensor
    beta: tf.Tensor
    mean: tf.Tensor
    variance: tf.Tensor


class NormedLayer(Protocol):
    """What is read here of a `ConvNorm` with a frozen norm."""

    name: str
    norm: str
    filters: int
    epsilon: float
    kernel: tf.Variable
    gamma: tf.Variable
    beta: tf.Variable
    mean: tf.Variable
    variance: tf.Variable
    compute_dtype: str
    lent_folds: LentFolds | None


def fold(layer: NormedLayer) -> Folded:
    """Fold the frozen norm of a layer."""
    statistics = Statistics(layer.gamma, layer.beta, layer.mean, layer.variance)
    scale, offset = _affine(statistics, layer.epsilon)
    return Folded(layer.kernel * scale, offset)


class JoinedNorms(tf.keras.Model):
    """A functional model that folds all its frozen norms at once.

    That takes a few operations rather than five for each norm.

    Args:
      inputs, outputs, name: as of a functional model.
      on_gpu: whether TensorFlow computes on a GPU.
    """

    def __init__(self, inputs: Any, outputs: Any, *, name: str, on_gpu: bool) -> None:
        super().__init__(inputs, outputs, name=name)
        self.on_gpu = on_gpu
        self._folds = LentFolds()
        for layer in self._layers_with(FROZEN):
            layer.lent_folds = self._folds

    @without_autograph
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        folds: dict[str, Folded] = {}
        if self.on_gpu:
            # All at once: launches take longer than gradients of constants.
            folds.update(_fold_all(self._layers_with(FROZEN), stack_kernels=True))
        else:
            # Each norm by itself, so that the constants of frozen_bn get no gradient.
            for norm in FROZEN:
                folds.update(_fold_all(self._layers_with([norm]), stack_kernels=False))
        with self._folds.lend(folds):
            return super().call(inputs, training, mask)

    def _layers_with(self, norms: Sequence[str]) -> list[NormedLayer]:
        """Return its layers with one of these norms."""
        return [x for x in self.layers if getattr(x, "norm", None) in norms]


def _fold_all(layers: Sequence[NormedLayer], stack_kernels: bool) -> dict[str, Folded]:
    """Fold the norms of layers: {name of a layer: its Folded}."""
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
        folded[layer.name] = Folded(kernel, bias)
    return folded


def _kernel_shape(layer: NormedLayer) -> tuple[int, ...]:
    return tuple(layer.kernel.shape)


def _scale_stacked(layers: Sequence[NormedLayer], scales: tf.Tensor) -> list[tf.Tensor]:
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


def _affine(statistics: Statistics, epsilon: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the scale and the offset that normalise by statistics."""
    scale = statistics.gamma * tf.math.rsqrt(statistics.variance + epsilon)
    return scale, statistics.beta - statistics.mean * scale
