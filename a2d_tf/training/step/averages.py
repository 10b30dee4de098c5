"""Moving averages of the weights, which often score better than the last weights.

Validation, checkpoints and predictions use the averages in place of the weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import tensorflow as tf

from a2d_tf.training.step import replicas
from a2d_tf.training.step.joining import CPU_JOINER, Joiner


class Averages(tf.Module):
    """Exponential moving averages of a network's weights, on one device or several.

    The averages begin as copies of the weights.

    Args:
      variables: the weights to average.
      decay: decay of the averages per step, from 0 to 1. At step n it is at most (1 +
        n) / (10 + n), so that the random initial weights soon lose their influence.
      joiner: joins small variables, so that they are updated in one operation.

    Attributes:
      values: the variables of the averages, in the order of the weights; weights and
        averages swap their values during `exchanged`.
    """

    def __init__(
        self,
        variables: Iterable[tf.Variable],
        decay: float,
        joiner: Joiner = CPU_JOINER,
    ) -> None:
        super().__init__(name="averages")
        variables = list(variables)
        # Behind a function, so that a checkpoint does not track them as parts of this
        # object.
        self._variables = lambda: variables
        self._decay = decay
        self._joiner = joiner
        averages = []
        for variable in variables:
            averages.append(tf.Variable(variable.read_value(), trainable=False))
        self.values = averages

    def update(self, step: tf.Tensor) -> None:
        """Move the averages towards the weights after a training step.

        Call it in a cross-replica context.

        Args:
          step: number of the step, from 0, a scalar.
        """
        step = tf.cast(step, tf.float32)
        share = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        tf.distribute.get_strategy().run(self._approach_weights, (share,))

    @contextlib.contextmanager
    def exchanged(self) -> Iterator[None]:
        """Return a context in which the weights have the values of their averages.

        At its end the weights are as they were before.
        """
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    def exchange(self) -> None:
        """Swap the values of the weights and of their averages, in place."""
        for average, variable in zip(self.values, self._variables()):
            value = tf.identity(variable.read_value())
            variable.assign(average.read_value())
            average.assign(value)

    def _approach_weights(self, share: tf.Tensor) -> None:
        """Move this replica's averages by a share of the way to its weights."""
        weights = replicas.own_parts(self._variables())
        self._joiner.interpolate(
            replicas.own_parts(self.values), self._joiner.join_variables(weights), share
        )
