"""Activation checkpointing: activations within a stage are computed again in the backward pass."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf


class CheckpointedModel(tf.keras.Model):
    """A functional model that, in training, keeps only the activations at given cuts.

    Its variables and checkpoints are those of the plain model. No layer between two cuts may update
    a variable: it would do so twice.

    Args:
      inputs, outputs: as for `tf.keras.Model`.
      chains: for each chain of stages, the tensors at its cuts, in order.
    """

    def __init__(
        self, inputs: dict, outputs: dict, chains: list[list[tf.Tensor]], **kwargs: Any
    ) -> None:
        super().__init__(inputs, outputs, **kwargs)
        before = tf.keras.Model(inputs, [chain[0] for chain in chains])
        # Named as the whole model: operations of the gradient have no other scope.
        stages = [
            [tf.keras.Model(*cuts, name=self.name) for cuts in zip(chain, chain[1:])]
            for chain in chains
        ]
        # Keras rejects a model that returns one tensor twice.
        unique = {id(x): x for x in tf.nest.flatten(outputs)}
        after = tf.keras.Model([x for chain in chains for x in chain[1:]], list(unique.values()))

        def run(inputs):
            ends = []
            for x, chain in zip(tf.nest.flatten(before(inputs, training=True)), stages):
                for stage in chain:
                    x = tf.recompute_grad(functools.partial(stage, training=True))(x)
                    ends.append(x)
            values = dict(zip(unique, after(ends, training=True)))
            return tf.nest.map_structure(lambda x: values[id(x)], outputs)

        # A function, since models as attributes would be saved in the checkpoint once more.
        self._run = run

    def call(self, inputs: dict, training: bool | None = None, mask: Any = None) -> dict:
        return self._run(inputs) if training else super().call(inputs, training, mask)
