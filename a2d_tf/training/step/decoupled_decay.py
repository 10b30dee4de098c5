"""SGD and Adam with decoupled weight decay, for where tensorflow-addons is missing.

Like the optimizers of tensorflow-addons, they derive from Keras's legacy optimizers.
Both compute the same, and read each other's checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

# A type checker must assume that it also has the attributes of the optimizer beside it.
_Base: Any = object


class _DecoupledDecay(_Base):
    """Optimizer mixin that subtracts `weight_decay` times a variable before each step.

    For dense gradients and optimizers whose step does not depend on the variable
    (Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019).
    """

    def __init__(
        self,
        weight_decay: float | tf.keras.optimizers.schedules.LearningRateSchedule,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self._set_hyper("weight_decay", weight_decay)
        # References of the variables that decay; None if all do.
        self._decaying: set | None = None

    def apply_gradients(
        self,
        *arguments: Any,
        decay_var_list: Iterable[tf.Variable] | None = None,
        **options: Any,
    ) -> tf.Operation:
        """Apply gradients; only variables of `decay_var_list` decay, by default all."""
        self._decaying = None
        if decay_var_list is not None:
            self._decaying = {variable.ref() for variable in decay_var_list}
        return super().apply_gradients(*arguments, **options)

    def _prepare_local(self, device: str, dtype: tf.DType, apply_state: dict) -> None:
        super()._prepare_local(device, dtype, apply_state)
        decay = self._get_hyper("weight_decay", dtype)
        if isinstance(decay, tf.keras.optimizers.schedules.LearningRateSchedule):
            decay = tf.cast(decay(self.iterations), dtype)
        apply_state[device, dtype]["weight_decay"] = tf.identity(decay)

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: Any = None
    ) -> tf.Operation:
        if self._decaying is None or var.ref() in self._decaying:
            var.assign_sub(
                apply_state[var.device, var.dtype.base_dtype]["weight_decay"] * var
            )
        return super()._resource_apply_dense(grad, var, apply_state=apply_state)


class AdamW(_DecoupledDecay, tf.keras.optimizers.legacy.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    The decay is not multiplied by the learning rate: each step subtracts weight_decay *
    variable.
    """


class SGDW(_DecoupledDecay, tf.keras.optimizers.legacy.SGD):
    """SGD with momentum and decoupled weight decay (Loshchilov and Hutter, 2019).

    The decay is not multiplied by the learning rate: each step subtracts weight_decay *
    variable.
    """
