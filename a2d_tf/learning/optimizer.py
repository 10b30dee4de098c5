"""The optimizer: SGD with momentum (paper, section 4) or Adam, decoupled decay, a schedule."""

import math

import tensorflow as tf

from a2d_tf.addons import tfa


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
        return {"peak": self.peak, "steps": self.steps, "warmup_steps": self.warmup_steps,
                "kind": self.kind}  # fmt: skip


def decaying(variables):
    """The variables that weight decay applies to: kernels, not biases, scales and offsets.

    To be passed as `apply_gradients(..., decay_var_list=decaying(variables))`: tensorflow-addons
    can also exclude by name, but two variables may share one.
    """
    return [variable for variable in variables if variable.shape.rank > 1]


def make_optimizer(kind, schedule, momentum, weight_decay):
    """The optimizer of a run: 'sgd' with momentum or 'adam', with decoupled decay.

    tensorflow-addons subtracts its decay as it stands, so it is given decay times learning rate.
    """
    decay = Schedule(
        schedule.peak * weight_decay, schedule.steps, schedule.warmup_steps, schedule.kind
    )
    if kind == "adam":
        return tfa.optimizers.AdamW(learning_rate=schedule, weight_decay=decay)
    return tfa.optimizers.SGDW(learning_rate=schedule, weight_decay=decay, momentum=momentum)
