"""Frozen norms, folded into the kernels of their convolutions.

A frozen norm scales and shifts channels by constants, so that a convolution with a
folded kernel and a bias computes the same.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

FROZEN = ("frozen_bn", "frozen_stats")
"""Values of --norm whose statistics stay as they were loaded."""


class Folded(NamedTuple):
    """Kernel and bias of a convolution that includes the frozen norm after it.

    Attributes:
      kernel: [height, width, in, out].
      bias: [out].
    """

    kernel: tf.Tensor
    bias: tf.Tensor


class Affine(NamedTuple):
    """A frozen norm as one multiplication and one addition: y = x * scale + offset.

    Attributes:
      scale: [C], the factor of each channel.
      offset: [C], added to each channel.
    """

    scale: tf.Tensor
    offset: tf.Tensor


class Statistics(NamedTuple):
    """The weights of a frozen batch norm, float32 [C] each, a value per channel.

    Attributes:
      gamma: the scale after the normalisation.
      beta: the offset after the normalisation.
      mean: the mean that is subtracted.
      variance: the variance that is divided by, as its root.
    """

    gamma: tf.Tensor
    beta: tf.Tensor
    mean: tf.Tensor
    variance: tf.Tensor

    def affine(self, epsilon: Any) -> Affine:
        """Return the norm as one scale and one offset per channel.

        The scale is gamma / sqrt(variance + epsilon), the offset beta - mean * scale.

        Args:
          epsilon: added to the variance; a number, or one for each channel.
        """
        scale = self.gamma * tf.math.rsqrt(self.variance + epsilon)
        return Affine(scale, self.beta - self.mean * scale)


class LentFolds(threading.local):
    """The folded kernels that a `JoinedNorms` model lends its layers while it runs.

    They are kept for each thread, because replicas of a network run in threads of their
    own.
    """

    def __init__(self) -> None:
        self._by_layer: Mapping[str, Folded] = {}

    @contextlib.contextmanager
    def lend(self, by_layer: Mapping[str, Folded]) -> Iterator[None]:
        """Lend folded kernels to the layers inside a `with` block.

        Args:
          by_layer: {name of a layer: its kernel and bias with the norm folded in}.
        """
        self._by_layer = by_layer
        try:
            yield
        finally:
            self._by_layer = {}

    def find(self, layer_name: str) -> Folded | None:
        """Return the folded kernel and bias that are lent to a layer.

        Args:
          layer_name: name of the layer.

        Returns:
          kernel and bias; None outside a `with` block of `lend`, while the model does
          not run.
        """
        return self._by_layer.get(layer_name)
