"""One training step on every replica: gradients, clipping, update (paper, 4)."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Callable

import tensorflow as tf

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.model.network import Network
from a2d_tf.training.step import joining, optimizer, replicas
from a2d_tf.training.step.averages import Averages
from a2d_tf.training.step.forward import forward, reported_values

Step = Callable[[dict, int], dict[str, tf.Tensor]]
"""The type of the function that `make_train_step` returns."""
Probe = Callable[[dict, tf.Tensor], dict[str, tf.Tensor]]
"""The type of the function that `make_probe` returns."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainState:
    """The objects that training changes, from which checkpoints are made.

    Attributes:
      network: the network that is trained.
      optimizer: its optimizer, with the slots of momentum.
      averages: moving averages of the trainable weights; None if the run has none.
      step: int64 scalar, the number of steps done.
      diverged: bool scalar, whether a step has had a non-finite loss or figure; nothing
        changes from that step on.
    """

    network: Network
    optimizer: tf.keras.optimizers.Optimizer
    averages: Averages | None = None
    step: tf.Variable = dataclasses.field(
        default_factory=lambda: tf.Variable(0, dtype=tf.int64, trainable=False)
    )
    diverged: tf.Variable = dataclasses.field(
        default_factory=lambda: tf.Variable(False, trainable=False)
    )

    @classmethod
    def create(cls, network: Network, training: TrainingConfig) -> TrainState:
        """Make the state of a run at step 0.

        Call it in the scope of the run's strategy, after `set_phase`.

        Args:
          network: the network, in which the layers to train are trainable.
          training: the settings of the training; with `average_decay` the state has
            moving averages of the weights.
        """
        averages = None
        if training.average_decay:
            averages = Averages(
                network.trainable_weights, training.average_decay, _joiner(network)
            )
        return cls(network, optimizer.make(training), averages)

    def averaged_weights(self) -> contextlib.AbstractContextManager:
        """Return a context in which the network has the averaged weights.

        At its end the network has its own weights again. Without averages the context
        changes nothing.
        """
        if self.averages is None:
            return contextlib.nullcontext()
        return self.averages.exchanged()


def make_train_step(state: TrainState, training: TrainingConfig) -> Step:
    """Compile the training step: forward pass, gradients, clipping and update.

    Make the step in the scope of the run's strategy, after a checkpoint is restored.

    A step with a non-finite loss or figure changes nothing, nor does any later step.
    The values are read many steps later; the weights are then still those before that
    step.

    Args:
      state: the network, the optimizer and the averages, which the step changes; it
        does not count `state.step`.
      training: the settings of the training.

    Returns:
      a function (batch, number of steps before) -> {name: scalar}, with the weighted
      losses, their 'total', health figures and 'gradient_norm'. Batches are elements of
      `replicas.batches`.
    """
    # Left to the first step, TensorFlow would trace it twice. A checkpoint fills the
    # slots.
    state.optimizer._create_all_weights(list(state.network.trainable_weights))

    @tf.function(reduce_retracing=True, autograph=False)
    def compiled(batch: dict, step: tf.Tensor) -> dict[str, tf.Tensor]:
        return _step(state, training, batch, step)

    def train_step(batch: dict, step: int) -> dict[str, tf.Tensor]:
        with tf.device("CPU:0"):  # where kernels read the seed
            step = tf.constant(step, tf.int64)
        return compiled(batch, step)

    return train_step


def make_probe(network: Network, training: TrainingConfig) -> Probe:
    """Compile a training step without its update, to examine single clips.

    The batch may be some rows of a step's batch: the same anchors and RoIs are sampled
    for them as in that step. Every replica gets the whole batch.

    Args:
      network: the network; its weights stay as they are.
      training: the settings of the training.

    Returns:
      a function (batch, number of the step as an int64 scalar) -> {name: scalar}, with
      the same values as the step.
    """
    strategy = tf.distribute.get_strategy()

    @tf.function(reduce_retracing=True, autograph=False)
    def probe(batch: dict, step: tf.Tensor) -> dict[str, tf.Tensor]:
        seed = _seed(training, step)
        values, _ = strategy.run(_gradients, (network, batch, seed, training))
        return replicas.first(values)

    return probe


def _joiner(network: Network) -> joining.Joiner:
    """Return the joiner of the device that computes the network."""
    return joining.GPU_JOINER if network.on_gpu else joining.CPU_JOINER


def _step(
    state: TrainState, training: TrainingConfig, batch: dict, step: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Do a step; change nothing if it, or one before it, has a non-finite value."""
    strategy = tf.distribute.get_strategy()
    seed = _seed(training, step)
    updates = ~state.diverged.read_value()
    values, gradients = strategy.run(_gradients, (state.network, batch, seed, training))
    values = replicas.first(values)
    updates &= tf.reduce_all(tf.math.is_finite(tf.stack(list(values.values()))))
    # Both branches return a bool, as tf.cond wants it; nothing reads it.
    tf.cond(updates, lambda: _update(state, gradients, step, training), lambda: False)
    state.diverged.assign(~updates)
    return values


def _seed(training: TrainingConfig, step: tf.Tensor) -> tf.Tensor:
    with tf.device("CPU:0"):  # where kernels read it
        return tf.stack([tf.constant(training.seed, tf.int64), step])


def _gradients(
    network: Network, batch: dict, seed: tf.Tensor, training: TrainingConfig
) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
    """Compute the values of a step and its clipped gradients; call it in a replica.

    Both are summed over all replicas.

    Returns:
      values: {name: scalar}, losses, health figures and the norm of the gradient.
      gradients: the gradient of each of `Network.trainable_weights`.
    """
    variables = network.trainable_weights
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        # Profiles and graphs in TensorBoard show the losses beside the network.
        with tf.name_scope("losses"):
            terms, health = forward(network, batch, seed, training)
            values = reported_values(terms, health, training)
    gradients = tape.gradient(
        values["total"], variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    values, gradients = replicas.total((values, gradients))
    with tf.name_scope("optimizer"):
        gradients, norm = optimizer.clip(
            gradients, training.clip_norm, _joiner(network)
        )
    return {**values, "gradient_norm": norm}, gradients


def _update(
    state: TrainState,
    gradients: list[tf.Tensor],
    step: tf.Tensor,
    training: TrainingConfig,
) -> bool:
    """Apply the gradients on every replica; take the new weights into the averages."""
    weights = state.network.trainable_weights
    backbone_weights = state.network.backbone_weights

    def apply(gradients: list[tf.Tensor]) -> None:
        optimizer.apply(
            state.optimizer,
            gradients,
            weights,
            backbone_weights,
            training.backbone_rate,
            _joiner(state.network),
        )

    with tf.name_scope("optimizer"):
        tf.distribute.get_strategy().run(apply, (gradients,))
        if state.averages:
            state.averages.update(step)
    return True
