"""Averaged weights: a decaying mean of the weights along a run, often better than the last ones."""

import contextlib

import tensorflow as tf


class Averages(tf.Module):
    """The decaying mean of variables; on many devices too, where tensorflow-addons' is not.

    Args:
      variables: that are averaged; those that never change stay as they are.
      decay: of the mean, per step. Early on it is less, (1 + n) / (10 + n) at step n, lest the
        random start weighs for long.
    """

    def __init__(self, variables, decay):
        super().__init__(name="averages")
        variables = list(variables)
        # Behind a function, lest a checkpoint takes them for parts of this object.
        self._decay, self._variables = decay, lambda: variables
        self.values = [tf.Variable(v.read_value(), trainable=False) for v in variables]

    def update(self, step):
        """Take a step's weights into the mean; outside of the replicas."""
        step = tf.cast(step, tf.float32)
        part = 1.0 - tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        extended = tf.distribute.get_strategy().extended
        for mean, variable in zip(self.values, self._variables()):
            extended.update(mean, _approach, args=(variable, part))

    @contextlib.contextmanager
    def in_place(self):
        """While it lasts the variables hold the means, and the means the variables."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    def exchange(self):
        """Let the variables and their means change places."""
        for mean, variable in zip(self.values, self._variables()):
            kept = tf.identity(variable.read_value())
            variable.assign(mean.read_value())
            mean.assign(kept)


def _approach(mean, variable, part):
    mean.assign_sub(part * (mean - variable))
