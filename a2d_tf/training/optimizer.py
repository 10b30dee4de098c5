"""The optimizer, its updates and the clipping of gradients.

SGD with momentum (paper, section 4) or Adam, with decoupled weight decay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from a2d_tf.core.config import TrainingConfig
from a2d_tf.training import addons, replicas
from a2d_tf.training.joining import ON_CPU, Joiner
from a2d_tf.training.schedule import Schedule


def make(training: TrainingConfig) -> tf.keras.optimizers.Optimizer:
    """Return a new optimizer of a run.

    tensorflow-addons does not multiply the decay by the learning rate, so that is done
    here.
    """
    learning_rate = Schedule(training)
    weight_decay = Schedule(training, training.weight_decay)
    if training.optimizer == "adam":
        return addons.AdamW(learning_rate=learning_rate, weight_decay=weight_decay)
    return addons.SGDW(
        momentum=training.momentum,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )


def apply(
    optimizer: tf.keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    backbone: Sequence[tf.Variable],
    training: TrainingConfig,
    joiner: Joiner = ON_CPU,
) -> None:
    """Apply gradients in a replica.

    SGD updates the small variables at once; all others are updated one by one.

    Args:
      optimizer: of `make`, with slots.
      gradients: summed over all replicas.
      variables: one for each gradient.
      backbone: the variables whose rate and decay are multiplied by --backbone_rate.
      joiner: joins small variables.
    """
    slow = []
    if training.backbone_rate != 1:
        slow = replicas.own_parts(backbone)
    before = joiner.join_values(slow)

    together = []
    one_by_one = []
    for gradient, variable in zip(gradients, variables):
        if training.optimizer == "sgd" and joiner.is_small(variable):
            together.append((gradient, variable))
        else:
            one_by_one.append((gradient, variable))
    if together:
        _descend(optimizer, together, training, joiner)
    if one_by_one:
        optimizer.apply_gradients(
            one_by_one,
            decay_var_list=_decayed_parts([variable for _, variable in one_by_one]),
            experimental_aggregate_gradients=False,
        )
    else:
        optimizer.iterations.assign_add(1)

    # A factor on the gradients would do for SGD, but Adam would undo it.
    joiner.approach(slow, before, 1 - training.backbone_rate)


def _descend(
    optimizer: Any,
    pairs: Sequence[tuple[tf.Tensor, tf.Variable]],
    training: TrainingConfig,
    joiner: Joiner,
) -> None:
    """Do what SGDW does to small variables, by a few operations on joined ones.

    Args:
      pairs: [(gradient, variable)].
    """
    rate = Schedule(training)(optimizer.iterations)
    decay = Schedule(training, training.weight_decay)(optimizer.iterations)
    for decays in (True, False):
        gradients = []
        variables = []
        slots = []
        for gradient, variable in pairs:
            if _decays(variable) == decays:
                gradients.append(gradient)
                variables.append(variable)
                slots.append(optimizer.get_slot(variable, "momentum"))
        if not variables:
            continue
        variables = replicas.own_parts(variables)
        slots = replicas.own_parts(slots)

        (gradient,) = joiner.join(gradients)
        (momentum,) = joiner.join_values(slots)
        (weights,) = joiner.join_values(variables)
        momentum = momentum * training.momentum - gradient * rate
        if decays:
            weights -= decay * weights
        joiner.assign(slots, [momentum])
        joiner.assign(variables, [weights + momentum])


def _decays(variable: tf.Variable) -> bool:
    """Return whether weights decay: kernels do; biases, scales and offsets do not."""
    return variable.shape.rank > 1


def _decayed_parts(variables: Iterable[tf.Variable]) -> list[tf.Variable]:
    """Return the parts, on all replicas, of the variables whose weights decay.

    The optimizer looks for the parts of a variable of several replicas.
    """
    strategy = tf.distribute.get_strategy()
    parts = []
    for variable in variables:
        if _decays(variable):
            parts += strategy.experimental_local_results(variable)
    return parts


def clipped(
    gradients: list[tf.Tensor], clip_norm: float, joiner: Joiner = ON_CPU
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clip the global norm of gradients (0: do not).

    Returns:
      (gradients, their global norm before clipping).
    """
    joined = joiner.join(gradients)
    norm = tf.linalg.global_norm(joined)
    if not clip_norm:
        return gradients, norm
    factor = clip_norm / tf.maximum(norm, clip_norm)
    return joiner.split([factor * part for part in joined], gradients), norm
