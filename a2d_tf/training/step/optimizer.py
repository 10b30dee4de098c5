"""The optimizer of a run, its updates and the clipping of gradients.

SGD with momentum (paper, section 4) or Adam, with decoupled weight decay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tensorflow as tf

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.training.step import addons, replicas
from a2d_tf.training.step.joining import CPU_JOINER, Joiner
from a2d_tf.training.step.schedule import Schedule


class JoinedSGDW(addons.SGDW):
    """SGD with momentum and decoupled weight decay.

    It is tensorflow-addons' SGDW with one more method, `apply_joined`, which updates
    many small variables at once.
    """

    def apply_joined(
        self, grads_and_vars: Sequence[tuple[tf.Tensor, tf.Variable]], joiner: Joiner
    ) -> None:
        """Apply gradients to small variables of a replica, joined into vectors.

        The variables get the same values, to the bit, as by `apply_gradients`, in fewer
        operations. Biases, scales and offsets do not decay. The step counter
        `iterations` stays as it is.

        Args:
          grads_and_vars: (gradient, variable) pairs. A gradient is summed over all
            replicas, and the variable has its momentum slot already.
          joiner: joins tensors into one vector, and splits it again.
        """
        rate = self._rate("learning_rate")
        weight_decay = self._rate("weight_decay")
        for decays in (True, False):
            pairs = [pair for pair in grads_and_vars if _decays(pair[1]) == decays]
            if not pairs:
                continue
            gradients, variables = zip(*pairs)
            slots = [self.get_slot(variable, "momentum") for variable in variables]
            own_slots = replicas.own_parts(slots)
            own_variables = replicas.own_parts(variables)

            (gradient,) = joiner.join(gradients)
            (velocity,) = joiner.join_variables(own_slots)
            (weight,) = joiner.join_variables(own_variables)
            velocity = velocity * self._get_hyper("momentum") - gradient * rate
            if decays:
                weight -= weight_decay * weight
            joiner.assign(own_slots, [velocity])
            joiner.assign(own_variables, [weight + velocity])

    def _rate(self, name: str) -> tf.Tensor:
        """Return the value of a schedule at this step."""
        return self._get_hyper(name)(self.iterations)


def make(training: TrainingConfig) -> addons.AdamW | JoinedSGDW:
    """Make the optimizer of a run, SGD with momentum (paper, section 4) or Adam.

    Its weight decay is decoupled, and follows the schedule: each step subtracts
    learning rate * --weight_decay * variable.

    Args:
      training: the settings of the training.
    """
    learning_rate = Schedule(training)
    weight_decay = Schedule(training, training.weight_decay)
    if training.optimizer == "adam":
        return addons.AdamW(learning_rate=learning_rate, weight_decay=weight_decay)
    return JoinedSGDW(
        momentum=training.momentum,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
    )


def apply(
    optimizer: addons.AdamW | JoinedSGDW,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[tf.Variable],
    backbone: Sequence[tf.Variable],
    backbone_rate: float,
    joiner: Joiner = CPU_JOINER,
) -> None:
    """Update the weights of a replica by their gradients, and count the step.

    SGD updates the small variables at once; all others are updated one by one.

    Args:
      optimizer: the optimizer that `make` returned, whose slots have been created.
      gradients: the gradients, already summed over all replicas.
      variables: the variable of each gradient.
      backbone: the variables of the backbones, whose learning rate and decay are
        multiplied by `backbone_rate`.
      backbone_rate: value of --backbone_rate, from 0 to 1.
      joiner: joins small variables.
    """
    slow_variables: list[tf.Variable] = []
    if backbone_rate != 1:
        slow_variables = replicas.own_parts(backbone)
    values_before = joiner.join_variables(slow_variables)

    pairs = list(zip(gradients, variables))
    if isinstance(optimizer, JoinedSGDW):
        small = [pair for pair in pairs if joiner.is_small(pair[1])]
        pairs = [pair for pair in pairs if not joiner.is_small(pair[1])]
        if small:
            optimizer.apply_joined(small, joiner)
    if pairs:
        decaying = [variable for _, variable in pairs if _decays(variable)]
        optimizer.apply_gradients(
            pairs,
            decay_var_list=_parts_on_replicas(decaying),
            experimental_aggregate_gradients=False,
        )
    else:
        optimizer.iterations.assign_add(1)

    # A factor on the gradients would do for SGD, but Adam would undo it.
    joiner.interpolate(slow_variables, values_before, 1 - backbone_rate)


def clip(
    gradients: list[tf.Tensor], clip_norm: float, joiner: Joiner = CPU_JOINER
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scale gradients so that their global norm is at most a limit.

    Args:
      gradients: the gradients of all variables, summed over all replicas.
      clip_norm: the largest global L2 norm; 0 for no limit.
      joiner: joins small gradients.

    Returns:
      gradients: the gradients after clipping, in the same order.
      norm: their global norm before clipping, a scalar.
    """
    joined = joiner.join(gradients)
    norm = tf.linalg.global_norm(joined)
    if not clip_norm:
        return gradients, norm
    factor = clip_norm / tf.maximum(norm, clip_norm)
    return joiner.split([factor * part for part in joined], gradients), norm


def _decays(variable: tf.Variable) -> bool:
    """Return whether weights decay: kernels do; biases, scales and offsets do not."""
    return variable.shape.rank > 1


def _parts_on_replicas(variables: Iterable[tf.Variable]) -> list[tf.Variable]:
    """Return the parts of variables on all replicas.

    The optimizer looks for the parts of a variable of several replicas.
    """
    strategy = tf.distribute.get_strategy()
    parts = []
    for variable in variables:
        parts += strategy.experimental_local_results(variable)
    return parts
