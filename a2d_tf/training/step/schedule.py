"""The learning rate of each training step."""

from __future__ import annotations

import math

import tensorflow as tf

from a2d_tf.core.settings.config import TrainingConfig


class Schedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of a run at each step, times a factor.

    It rises linearly to --learning_rate during --warmup_steps. Then it is constant, or
    with --schedule=cosine falls as a half cosine to zero at --steps.

    Args:
      training: the settings of the training.
      factor: factor on the learning rate, such as the weight decay.
    """

    def __init__(self, training: TrainingConfig, factor: float = 1.0) -> None:
        self._training = training
        self._peak = training.learning_rate * factor

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        training = self._training
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self._peak, tf.float32)
        if training.schedule == "cosine":
            span = max(1, training.steps - training.warmup_steps)
            progress = tf.clip_by_value((step - training.warmup_steps) / span, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * progress))
        if training.warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / training.warmup_steps)
        return rate
