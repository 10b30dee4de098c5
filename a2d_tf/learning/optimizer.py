"""The optimizer: SGD with momentum (paper, section 4) or Adam, decoupled decay, a schedule.

And the loss scale of float16, whose smallest numbers many gradients would not reach.
"""

import math

import tensorflow as tf

from a2d_tf.core import addons


class Schedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak`, then constant or a half cosine to zero at `steps`."""

    def __init__(self, peak, steps, warmup_steps=0, kind="constant"):
        self.peak, self.steps, self.warmup_steps, self.kind = peak, steps, warmup_steps, kind

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self.peak, tf.float32)
        if self.kind == "cosine":
            span = max(1, self.steps - self.warmup_steps)
            progress = tf.clip_by_value((step - self.warmup_steps) / span, 0.0, 1.0)
            rate *= 0.5 * (1.0 + tf.cos(math.pi * progress))
        if self.warmup_steps:
            rate *= tf.minimum(1.0, (step + 1.0) / self.warmup_steps)
        return rate

    def get_config(self):
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "kind": self.kind,
        }


def decaying(variables):
    """The variables that weight decay applies to: kernels, not biases, scales and offsets.

    To be passed as `apply_gradients(..., decay_var_list=decaying(variables))`: tensorflow-addons
    can also exclude by name, but two variables may share one.
    On several replicas each has a part of its own of a variable, and it is this that the optimizer
    sees.
    """
    parts = tf.distribute.get_strategy().experimental_local_results
    kernels = [variable for variable in variables if variable.shape.rank > 1]
    return [part for variable in kernels for part in parts(variable)]


def make_optimizer(kind, schedule, momentum, weight_decay):
    """The optimizer of a run: 'sgd' with momentum or 'adam', with decoupled decay.

    tensorflow-addons subtracts its decay as it stands, so it is given decay times learning rate.
    """
    decay = Schedule(
        schedule.peak * weight_decay, schedule.steps, schedule.warmup_steps, schedule.kind
    )
    if kind == "adam":
        return addons.AdamW(learning_rate=schedule, weight_decay=decay)
    return addons.SGDW(learning_rate=schedule, weight_decay=decay, momentum=momentum)


def clipped(gradients, clip_norm, scale=1.0):
    """Gradients of a loss that was multiplied by `scale`, scaled back and clipped, in one pass.

    Args:
      clip_norm: the most that the norm of all together may be; 0 clips nothing.

    Returns:
      (the gradients, their norm before they were clipped).
    """
    norm = tf.linalg.global_norm(gradients) / scale
    factor = 1.0 / scale
    if clip_norm:
        factor *= clip_norm / tf.maximum(norm, clip_norm)
    return [factor * gradient for gradient in gradients], norm


class LossScale(tf.Module):
    """A power of two that the loss is multiplied by, and the gradients are divided by.

    As large as it can be: it halves where gradients overflow, and doubles after `patience` steps in
    which none did.
    """

    LARGEST = 2.0**24

    def __init__(self, start=2.0**15, patience=2000):
        super().__init__(name="loss_scale")
        self.patience = patience
        self.value = tf.Variable(start, trainable=False)
        self.steps = tf.Variable(0, trainable=False)

    def update(self, finite):
        """Adapt to whether a step's gradients were finite, a bool scalar."""
        steps = tf.where(finite, self.steps + 1, 0)
        due = steps >= self.patience
        factor = tf.where(finite, tf.where(due, 2.0, 1.0), 0.5)
        self.value.assign(tf.clip_by_value(self.value * factor, 1.0, self.LARGEST))
        self.steps.assign(tf.where(due, 0, steps))
