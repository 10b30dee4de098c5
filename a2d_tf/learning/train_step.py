"""One training step on every replica: forward pass, gradients, clipping, update (paper, 4)."""

from __future__ import annotations

import dataclasses
from typing import Callable

import tensorflow as tf

from a2d_tf.core.config import LearningConfig
from a2d_tf.learning import optimizer, replicas
from a2d_tf.learning.averaging import Averages
from a2d_tf.learning.forward import forward, scalars
from a2d_tf.model.network import Network

Step = Callable[[dict, tf.Tensor], dict[str, tf.Tensor]]


def _step_variable():
    return tf.Variable(0, dtype=tf.int64, trainable=False)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainState:
    """The objects that training changes; `step` is the number of steps done, int64."""

    network: Network
    optimizer: tf.keras.optimizers.Optimizer
    step: tf.Variable = dataclasses.field(default_factory=_step_variable)
    loss_scale: optimizer.LossScale | None = None
    averages: Averages | None = None

    @classmethod
    def create(cls, network: Network, learning: LearningConfig) -> TrainState:
        """Make the state of a new run, with a loss scale and averages if its settings need them."""
        half, decay = network.compute.precision == "mixed_float16", learning.average_decay
        return cls(
            network,
            optimizer.of_settings(learning),
            loss_scale=optimizer.LossScale() if half else None,
            averages=Averages(network.variables, decay) if decay else None,
        )


def make_train_step(state: TrainState, learning: LearningConfig) -> Step:
    """Compile the step: (batch, step int64 scalar) -> {name: scalar} of losses and health.

    It runs on the strategy in whose scope it is made, on elements of `batches.distributed`.

    A step whose loss or gradients are not finite changes no weight. With a loss scale such a step
    lowers the scale, and reports a gradient norm of 0 unless the scale is already at its minimum.
    """
    strategy, loss_scale = tf.distribute.get_strategy(), state.loss_scale
    update = _compiled(_update) if learning.jit else _update

    @tf.function(reduce_retracing=True)
    def train_step(batch, step):
        seed = tf.stack([tf.constant(learning.seed, tf.int64), step])
        scale = loss_scale.value.read_value() if loss_scale else 1.0
        inputs = (state.network, batch, seed, learning)
        values, gradients = strategy.run(_gradients, inputs, {"scale": scale})
        values = replicas.first(values)
        finite = tf.math.is_finite(values["gradient_norm"])
        finite &= tf.math.is_finite(values["total"])
        tf.cond(finite, lambda: update(state, gradients, step), lambda: False)
        if loss_scale:
            norm = tf.where(finite | (scale <= 1.0), values["gradient_norm"], 0.0)
            values = {**values, "gradient_norm": norm, "loss_scale": scale}
            loss_scale.update(finite)
        return values

    return train_step


def make_probe(network: Network, learning: LearningConfig) -> Step:
    """Compile what a step reports, without an update: (batch, step int64 scalar) -> {name: scalar}.

    The batch may be some rows of a step's batch: they are sampled as in that step. Every replica
    gets all of it.
    """
    strategy = tf.distribute.get_strategy()

    @tf.function(reduce_retracing=True)
    def probe(batch, step):
        seed = tf.stack([tf.constant(learning.seed, tf.int64), step])
        values, _ = strategy.run(_gradients, (network, batch, seed, learning))
        return replicas.first(values)

    return probe


def _gradients(network, batch, seed, learning, *, scale=1.0):
    """In a replica: return what the step reports, and the clipped gradients of all replicas.

    `scale` is a factor on the loss while gradients are computed.
    """
    variables = network.trainable_weights
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        # A scope for what is not part of the network, for profiles and TensorBoard's graph.
        with tf.name_scope("losses"):
            pairs = forward(network, batch, seed, learning, training=True)
            values = scalars(*pairs, learning)
        loss = values["total"] * scale
    gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    values, gradients = replicas.total((values, gradients))
    with tf.name_scope("optimizer"):
        gradients, norm = optimizer.clipped(gradients, learning.clip_norm, scale)
    return {**values, "gradient_norm": norm}, gradients


def _compiled(update):
    """Let XLA make one cluster of an update."""

    def run(state, gradients, step):
        cluster = tf.function(lambda *arguments: update(state, *arguments), jit_compile=True)
        return cluster(gradients, step)

    return run


def _update(state, gradients, step):
    """Apply the gradients on every replica, then take the new weights into the averages."""

    def apply(gradients):
        variables = state.network.trainable_weights
        state.optimizer.apply_gradients(
            zip(gradients, variables),
            decay_var_list=optimizer.decaying(variables),
            experimental_aggregate_gradients=False,
        )

    with tf.name_scope("optimizer"):
        tf.distribute.get_strategy().run(apply, (gradients,))
        if state.averages:
            state.averages.update(step)
    return True
