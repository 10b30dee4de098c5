"""Activation checkpointing: activations within a stage are computed again in the backward pass."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from a2d_tf.model.autograph import plain

_BLOCKS = 4
"""Blocks between two cuts: of a stage of 23, about as much is kept as is computed again at once."""


def cuts(x: tf.Tensor, maps: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the tensors at which to cut a backbone: its input, the stem's end, some blocks' ends.

    Args:
      x: its input, a Keras tensor; maps: the ends of its stages.
    """
    chain, stage, blocks = [x], 0, 0
    for layer in tf.keras.Model(x, maps).layers:
        if isinstance(layer, tf.keras.layers.MaxPooling2D):
            chain.append(layer.output)
        elif layer.output is maps[stage]:
            chain.append(layer.output)
            stage, blocks = min(stage + 1, len(maps) - 1), 0
        elif layer.name.endswith("_out"):
            blocks += 1
            if blocks % _BLOCKS == 0:
                chain.append(layer.output)
    return chain


class CheckpointedModel(tf.keras.Model):
    """A functional model that, in training, keeps only the activations at given cuts.

    Its variables and checkpoints are those of the plain model. No layer between two cuts may update
    a variable: it would do so twice.

    Args:
      inputs, outputs: as for `tf.keras.Model`.
      chains: for each chain of stages, the tensors at its cuts, in order.
      ends: those of them that the rest of the model reads.
    """

    def __init__(
        self,
        inputs: dict,
        outputs: dict,
        chains: list[list[tf.Tensor]],
        ends: list[tf.Tensor],
        **kwargs: Any,
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
        after = tf.keras.Model(ends, list(unique.values()))

        def run(inputs):
            reached = {}
            starts = tf.nest.flatten(before(inputs, training=True))
            for x, chain, symbols in zip(starts, stages, chains):
                for stage, symbol in zip(chain, symbols[1:]):
                    x = tf.recompute_grad(functools.partial(stage, training=True))(x)
                    reached[id(symbol)] = x
            values = dict(zip(unique, after([reached[id(x)] for x in ends], training=True)))
            return tf.nest.map_structure(lambda x: values[id(x)], outputs)

        # A function, since models as attributes would be saved in the checkpoint once more.
        self._run = run

    @plain
    def call(self, inputs: dict, training: bool | None = None, mask: Any = None) -> dict:
        return self._run(inputs) if training else super().call(inputs, training, mask)
