"""Moving averages of the weights, which often score better than the last weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import tensorflow as tf

from a2d_tf.training import joining, replicas


class Averages(tf.Module):
    """Moving averages of variables.

    Unlike those of tensorflow-addons they work on several devices, too.

    Args:
      decay: of the averages, per step. At step n it is at most (1 + n) / (10 + n), so
        that the random initial weights soon lose their influence.
    """

    def __init__(
        self, variables: Iterable[tf.Variable], decay: float, on_gpu: bool = False
    ) -> None:
        super().__init__(name="averages")
        variables = list(variables)
        # Behind a function, so that a checkpoint does not track them as parts of this
        # object.
        self._variables = lambda: variables
        self._decay = decay
        self._limit = joining.limit_for(on_gpu)
        averages = []
        for variable in variables:
            averages.append(tf.Variable(variable.read_value(), trainable=False))
        self.values = averages

    def update(self, step: tf.Tensor) -> None:
        """Move the averages towards the weights after a step.

        Call it in a cross-replica context.
        """
        step = tf.cast(step, tf.float32)
        rate = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        tf.distribute.get_strategy().run(self._approach_weights, (rate,))

    def _approach_weights(self, rate):
        weights = replicas.own_parts(self._variables())
        joining.approach(
            replicas.own_parts(self.values),
            joining.join_values(weights, self._limit),
            rate,
            self._limit,
        )

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Exchange the variables and their averages inside a `with` block."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    def exchange(self) -> None:
        """Swap the values of the variables and their averages."""
        for average, variable in zip(self.values, self._variables()):
            value = tf.identity(variable.read_value())
            variable.assign(average.read_value())
            average.assign(value)
