"""The optimizer, its updates and the clipping of gradients.

SGD with momentum (paper, section 4) or Adam, with decoupled weight decay.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from a2d_tf.core.config import TrainingConfig
from a2d_tf.training import addons, joining, replicas
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
    on_gpu: bool = False,
) -> None:
    """Apply gradients in a replica.

    SGD updates the small variables at once; all others are updated one by one.

    Args:
      optimizer: of `make`, with slots.
      gradients: summed over all replicas.
      variables: one for each gradient.
      backbone: the variables whose rate and decay are multiplied by --backbone_rate.
    """
    limit = joining.limit_for(on_gpu)
    slow = []
    if training.backbone_rate != 1:
        slow = replicas.own_parts(backbone)
    before = joining.join_values(slow, limit)

    together = []
    one_by_one = []
    for gradient, variable in zip(gradients, variables):
        if training.optimizer == "sgd" and joining.is_small(variable, limit):
            together.append((gradient, variable))
        else:
            one_by_one.append((gradient, variable))
    if together:
        _descend(optimizer, together, training, limit)
    if one_by_one:
        optimizer.apply_gradients(
            one_by_one,
            decay_var_list=_decayed_parts([variable for _, variable in one_by_one]),
            experimental_aggregate_gradients=False,
        )
    else:
        optimizer.iterations.assign_add(1)

    # A factor on the gradients would do for SGD, but Adam would undo it.
    joining.approach(slow, before, 1 - training.backbone_rate, limit)


def _descend(optimizer, pairs, training, limit):
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

        (gradient,) = joining.join(gradients, limit)
        (momentum,) = joining.join_values(slots, limit)
        (weights,) = joining.join_values(variables, limit)
        momentum = momentum * training.momentum - gradient * rate
        if decays:
            weights -= decay * weights
        joining.assign(slots, [momentum], limit)
        joining.assign(variables, [weights + momentum], limit)


def _decays(variable):
    """Return whether weights decay: kernels do; biases, scales and offsets do not."""
    return variable.shape.rank > 1


def _decayed_parts(variables):
    """Return the parts, on all replicas, of the variables whose weights decay.

    By variable: tensorflow-addons can also exclude by name, but two may share one. It
    looks for the parts of a variable of several replicas.
    """
    strategy = tf.distribute.get_strategy()
    parts = []
    for variable in variables:
        if _decays(variable):
            parts += strategy.experimental_local_results(variable)
    return parts


def clipped(
    gradients: list[tf.Tensor], clip_norm: float, on_gpu: bool = False
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clip the global norm of gradients (0: do not).

    Returns:
      (gradients, their global norm before clipping).
    """
    limit = joining.limit_for(on_gpu)
    joined = joining.join(gradients, limit)
    norm = tf.linalg.global_norm(joined)
    if not clip_norm:
        return gradients, norm
    factor = clip_norm / tf.maximum(norm, clip_norm)
    return joining.split([factor * part for part in joined], gradients, limit), norm
