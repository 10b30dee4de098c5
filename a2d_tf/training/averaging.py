"""Exponential moving averages of the weights, which often score better than the last weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import tensorflow as tf

from a2d_tf.ops import joined


class Averages(tf.Module):
    """Moving averages of variables, on several devices too (unlike those of tensorflow-addons).

    Args:
      variables: the variables to average.
      decay: of the averages, per step. At step n it is at most (1 + n) / (10 + n), so that the
        random initial weights soon lose their influence.
    """

    def __init__(self, variables: Iterable[tf.Variable], decay: float) -> None:
        super().__init__(name="averages")
        variables = list(variables)
        # Behind a function, so that a checkpoint does not track them as parts of this object.
        self._decay, self._variables = decay, lambda: variables
        self.values = [_like(variable) for variable in variables]

    def update(self, step: tf.Tensor) -> None:
        """Take the weights after a step into the averages; in a cross-replica context."""
        step = tf.cast(step, tf.float32)
        rate = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        tf.distribute.get_strategy().run(self._approach, (rate,))

    def _approach(self, rate):
        means, variables = _own(self.values), _own(self._variables())
        before = joined.join([mean.read_value() for mean in means])
        aims = joined.join([variable.read_value() for variable in variables])
        moved = [mean - rate * (mean - aim) for mean, aim in zip(before, aims)]
        for mean, value in zip(means, joined.split(moved, means)):
            mean.assign(value)

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
        for mean, variable in zip(self.values, self._variables()):
            value = tf.identity(variable.read_value())
            variable.assign(mean.read_value())
            mean.assign(value)


def _like(variable):
    """Make a variable of the same value and kind.

    Statistics of batches differ between replicas until they are read, as their mean.
    """
    return tf.Variable(
        variable.read_value(),
        trainable=False,
        synchronization=variable.synchronization,
        aggregation=variable.aggregation,
    )


def _own(variables):
    """Return this replica's parts of variables."""
    strategy = tf.distribute.get_strategy()
    index = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
    parts = [strategy.experimental_local_results(variable) for variable in variables]
    return [part[index % len(part)] for part in parts]
