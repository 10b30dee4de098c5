"""Models that forget: what lies inside of a stage is computed again when its gradient is due."""

import functools

import tensorflow as tf


class Forgetful(tf.keras.Model):
    """A functional model that in training keeps no activation between its cuts.

    Its variables, and its checkpoints, are those of the plain model. What is not between cuts is
    kept as usual. No layer between cuts may change a variable, for it would do so twice.

    Args:
      inputs, outputs: as of tf.keras.Model.
      chains: for each chain of stages, the model's tensors at its cuts, in their order.
    """

    def __init__(self, inputs, outputs, chains, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        before = tf.keras.Model(inputs, [chain[0] for chain in chains])
        # By the name of the whole: the gradient's operations have no other scope.
        stages = [
            [tf.keras.Model(*cuts, name=self.name) for cuts in zip(chain, chain[1:])]
            for chain in chains
        ]
        # Keras cannot take apart a model that gives a tensor twice.
        unique = {id(x): x for x in tf.nest.flatten(outputs)}
        after = tf.keras.Model([x for chain in chains for x in chain[1:]], list(unique.values()))

        def run(inputs):
            ends = []
            for x, chain in zip(tf.nest.flatten(before(inputs, training=True)), stages):
                for stage in chain:
                    x = tf.recompute_grad(functools.partial(stage, training=True))(x)
                    ends.append(x)
            made = dict(zip(unique, after(ends, training=True)))
            return tf.nest.map_structure(lambda x: made[id(x)], outputs)

        # A function, not the models: those would be in the checkpoint a second time.
        self._run = run

    def call(self, inputs, training=None, mask=None):
        return self._run(inputs) if training else super().call(inputs, training, mask)
