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
    """A convolution that computes the same as one with a frozen norm.

    Attributes:
      kernel: of the convolution.
      bias: a value for each channel.
    """

    kernel: tf.Tensor
    bias: tf.Tensor


class Affine(NamedTuple):
    """What a frozen norm does to channels: times the scale, plus the offset."""

    scale: tf.Tensor
    offset: tf.Tensor


class Statistics(NamedTuple):
    """The weights of a frozen norm, a value for each channel."""

    gamma: tf.Tensor
    beta: tf.Tensor
    mean: tf.Tensor
    variance: tf.Tensor

    def affine(self, epsilon: Any) -> Affine:
        """Return the scale and the offset that normalise by these statistics."""
        scale = self.gamma * tf.math.rsqrt(self.variance + epsilon)
        return Affine(scale, self.beta - self.mean * scale)


class LentFolds(threading.local):
    """What a `JoinedNorms` model lends its layers while it runs in this thread.

    Replicas of a network run in threads of their own.
    """

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
