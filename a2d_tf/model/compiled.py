"""Parts of the network that XLA compiles for training."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from a2d_tf.model.backbones.resnet import Backbones


class CompiledModel(Backbones):
    """A functional model that in training is one cluster of XLA, and its gradient another.

    Its variables and checkpoints are those of the plain model. XLA has no deterministic gradient of
    max pooling, and nothing whose shape depends on data.
    """

    def __init__(self, inputs: Any, outputs: Any, **kwargs: Any) -> None:
        super().__init__(inputs, outputs, **kwargs)
        whole = super().call
        compiled = tf.function(lambda inputs: whole(inputs, training=True), jit_compile=True)
        # Behind a function, so that a checkpoint does not track it as a part.
        self._compiled = lambda inputs: compiled(inputs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self._compiled(inputs) if training else super().call(inputs, training, mask)
