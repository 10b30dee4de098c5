"""Submodels, losses and updates that XLA compiles for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from a2d_tf.model import layers
from a2d_tf.model.layers import JoinedNorms, plain


class CompiledModel(JoinedNorms):
    """A functional model that in training is one cluster of XLA, and its gradient another.

    Its variables and checkpoints are those of the plain model. XLA has no deterministic gradient of
    max pooling, and nothing whose shape depends on data.

    Args:
      inputs, outputs: as for `tf.keras.Model`.
      start: tensors of the model where the cluster begins, such as the outputs of RoIAlign, which
        has no kernel in XLA; by default the inputs.
    """

    def __init__(self, inputs: Any, outputs: Any, start: Any = None, **kwargs: Any) -> None:
        super().__init__(inputs, outputs, **kwargs)
        before, rest = None, super().call
        if start is not None:
            before = tf.keras.Model(inputs, start)
            rest = JoinedNorms(start, outputs).call

        @tf.function(jit_compile=True, autograph=False)
        def compiled(inputs):
            before = layers.DERIVED.set(True)
            try:
                return rest(inputs, training=True)
            finally:
                layers.DERIVED.reset(before)

        def run(inputs):
            return compiled(before(inputs, training=True) if before else inputs)

        # Behind a function, so that a checkpoint does not track it as a part.
        self._compiled = run

    @plain
    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self._compiled(inputs) if training else super().call(inputs, training, mask)


def cluster(function: Callable[[], Any], jit: bool) -> Any:
    """Call a function without arguments in a graph, as one cluster of XLA if `jit`.

    It may read tensors of the graph. It should draw no random numbers, which XLA draws otherwise,
    and choose no best of many, for which XLA sorts all of them.
    """
    if jit:
        return tf.function(function, jit_compile=True, autograph=False)()
    return function()
