"""The optimizer, its learning rate, gradient clipping, and the loss scale of float16.

SGD with momentum (paper, section 4) or Adam, with decoupled weight decay. The loss scale keeps
gradients from falling below the smallest numbers of float16.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import tensorflow as tf

from a2d_tf.core import addons
from a2d_tf.core.config import LearningConfig
from a2d_tf.ops import joined


class Schedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak`, then constant or a half cosine to zero at `steps`."""

    def __init__(
        self, peak: float, steps: int, warmup_steps: int = 0, kind: str = "constant"
    ) -> None:
        self.peak, self.steps, self.warmup_steps, self.kind = peak, steps, warmup_steps, kind

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self.peak, tf.float32)
        if self.kind == "cosine":
            span = max(1, self.steps - self.warmup_steps)
            progress = tf.clip_by_value((step - self.warmup_steps) / span, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * progress))
        if self.warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / self.warmup_steps)
        return rate

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "kind": self.kind,
        }


def schedule_of(learning: LearningConfig) -> Schedule:
    """Return the learning rate of a run."""
    return Schedule(
        learning.learning_rate, learning.steps, learning.warmup_steps, learning.schedule
    )


def of_settings(learning: LearningConfig) -> tf.keras.optimizers.Optimizer:
    """Return a new optimizer of a run."""
    return make_optimizer(
        learning.optimizer, schedule_of(learning), learning.momentum, learning.weight_decay
    )


def decaying(variables: Iterable[tf.Variable]) -> list[tf.Variable]:
    """Select the variables that weight decay applies to: kernels, not biases, scales or offsets.

    Pass them as `apply_gradients(..., decay_var_list=decaying(variables))`: tensorflow-addons
    can also exclude by name, but two variables may share one. A variable of several replicas is
    given as its parts, one per replica, which is what the optimizer sees.
    """
    parts = tf.distribute.get_strategy().experimental_local_results
    kernels = [variable for variable in variables if variable.shape.rank > 1]
    return [part for variable in kernels for part in parts(variable)]


def make_optimizer(
    kind: str, schedule: Schedule, momentum: float, weight_decay: float
) -> tf.keras.optimizers.Optimizer:
    """Return 'sgd' with momentum or 'adam', both with decoupled weight decay.

    tensorflow-addons does not multiply the decay by the learning rate, so that is done here.
    """
    decay = Schedule(
        schedule.peak * weight_decay, schedule.steps, schedule.warmup_steps, schedule.kind
    )
    if kind == "adam":
        return addons.AdamW(learning_rate=schedule, weight_decay=decay)
    return addons.SGDW(learning_rate=schedule, weight_decay=decay, momentum=momentum)


def create_slots(
    optimizer: tf.keras.optimizers.Optimizer, variables: Iterable[tf.Variable]
) -> None:
    """Create the optimizer's slot variables; a checkpoint that was restored before fills them.

    Left to the first step, TensorFlow would trace it twice: once to find that variables are made.
    """
    optimizer._create_all_weights(list(variables))


def clipped(
    gradients: list[tf.Tensor], clip_norm: float, scale: tf.Tensor | float = 1.0
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Divide gradients by the loss scale and clip their global norm (0: do not), in one pass.

    Returns:
      (gradients, their global norm after unscaling and before clipping).
    """
    groups = joined.join(gradients)
    norm = tf.linalg.global_norm(groups) / scale
    factor = 1.0 / scale
    if clip_norm:
        factor *= clip_norm / tf.maximum(norm, clip_norm)
    return joined.split([factor * group for group in groups], gradients), norm


class LossScale(tf.Module):
    """A dynamic loss scale, a power of two from 1 to LARGEST.

    It halves when gradients overflow, and doubles after `patience` steps without an overflow.
    """

    LARGEST = 2.0**24

    def __init__(self, start: float = 2.0**15, patience: int = 2000) -> None:
        super().__init__(name="loss_scale")
        self.patience = patience
        self.value = tf.Variable(start, trainable=False)
        self.steps = tf.Variable(0, trainable=False)

    def update(self, finite: tf.Tensor, going: tf.Tensor | bool = True) -> None:
        """Adapt the scale to whether the gradients of a step were finite, a bool scalar.

        Nothing changes unless `going`, a bool scalar.
        """
        steps = tf.where(finite, self.steps + 1, 0)
        due = steps >= self.patience
        factor = tf.where(finite, tf.where(due, 2.0, 1.0), 0.5)
        value = tf.clip_by_value(self.value * factor, 1.0, self.LARGEST)
        self.value.assign(tf.where(going, value, self.value))
        self.steps.assign(tf.where(going, tf.where(due, 0, steps), self.steps))
