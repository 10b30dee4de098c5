"""A model that folds the frozen norms of all its layers in a few operations.

A `ConvNorm` folds its own norm, unless it belongs to a `JoinedNorms` model. Before that
model runs its layers, it folds the norms of all of them, and lends each layer the
result.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from a2d_tf.model.autograph import without_autograph
from a2d_tf.model.frozen_norms import FROZEN, Folded, LentFolds, Statistics
from a2d_tf.model.layers import ConvNorm


class JoinedNorms(tf.keras.Model):
    """A functional model that folds all frozen norms at once, before its layers run.

    That takes a few operations rather than five for each norm.

    Args:
      inputs: symbolic inputs, as of `tf.keras.Model`.
      outputs: symbolic outputs, as of `tf.keras.Model`.
      name: name of the model.
      on_gpu: whether TensorFlow computes on a GPU; norms are then folded in fewer,
        larger operations.
    """

    def __init__(self, inputs: Any, outputs: Any, *, name: str, on_gpu: bool) -> None:
        super().__init__(inputs, outputs, name=name)
        self.on_gpu = on_gpu
        self._folds = LentFolds()
        for layer in self._layers_with(FROZEN):
            layer.lent_folds = self._folds

    @without_autograph
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Fold the norms of all layers, then run the layers with the folded kernels.

        Args:
          inputs: tensors in the structure of the model's inputs.
          training: whether the network is being trained.
          mask: a mask of Keras; not used here.
        """
        folds: dict[str, Folded] = {}
        if self.on_gpu:
            # Both norms together: fewer kernels to launch, though the constants of
            # frozen_bn get a gradient, too.
            folds.update(_fold_all(self._layers_with(FROZEN), stack_kernels=True))
        else:
            # Each norm by itself, so that the constants of frozen_bn get no gradient.
            for norm in FROZEN:
                folds.update(_fold_all(self._layers_with([norm]), stack_kernels=False))
        with self._folds.lend(folds):
            return super().call(inputs, training, mask)

    def _layers_with(self, norms: Sequence[str]) -> list[ConvNorm]:
        """Return the model's layers that have one of these norms."""
        return [x for x in self.layers if isinstance(x, ConvNorm) and x.norm in norms]


def _fold_all(layers: Sequence[ConvNorm], stack_kernels: bool) -> dict[str, Folded]:
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
    affine = joined.affine(np.repeat(epsilons, sizes))
    if stack_kernels:
        kernels = _scale_stacked(layers, affine.scale)
    else:
        kernels = []
        for layer, scale in zip(layers, tf.split(affine.scale, sizes)):
            kernels.append(layer.kernel * scale)
    folded = {}
    for layer, kernel, bias in zip(layers, kernels, tf.split(affine.offset, sizes)):
        if layer.norm == "frozen_bn":
            # Spares a sum over the gradient of the activations.
            bias = tf.stop_gradient(bias)
        folded[layer.name] = Folded(kernel, bias)
    return folded


def _kernel_shape(layer: ConvNorm) -> tuple[int, ...]:
    return tuple(layer.kernel.shape)


def _scale_stacked(layers: Sequence[ConvNorm], scales: tf.Tensor) -> list[tf.Tensor]:
    """Return the kernels of layers, sorted by shape, times the scales of all layers.

    Kernels of one shape are stacked and multiplied at once, so that a GPU has fewer
    kernels to launch.
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
