"""Ops and optimizers of tensorflow-addons, or equivalents where it cannot be installed.

tensorflow-addons ends at TensorFlow 2.15 and Python 3.11. Like its optimizers, these derive from
Keras's legacy ones; they compute the same and read each other's checkpoints.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

try:
    # Hides its warning that it is no longer developed.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_addons as tfa
except ImportError:
    tfa = None


def own_dense_image_warp(image: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Warp an image by dense flow: output[y, x] = image[(y, x) - flow[y, x]], bilinear.

    Outside of the image its edge is repeated.

    Args:
      image: float32 [B, H, W, C], H and W at least 2.
      flow: float32 [B, H, W, 2], rows and columns in pixels.

    Returns:
      float32 [B, H, W, C].
    """
    size = tf.shape(image)[1:3]
    grid = tf.stack(tf.meshgrid(tf.range(size[0]), tf.range(size[1]), indexing="ij"), axis=-1)
    positions = tf.cast(grid, flow.dtype) - flow
    first = tf.clip_by_value(tf.floor(positions), 0.0, tf.cast(size - 2, flow.dtype))
    part = tf.cast(tf.clip_by_value(positions - first, 0.0, 1.0), image.dtype)
    first = tf.cast(first, tf.int32)

    def row(down):
        left, right = (tf.gather_nd(image, first + [down, i], batch_dims=1) for i in (0, 1))
        return left + part[..., 1:] * (right - left)

    upper, lower = row(0), row(1)
    return upper + part[..., :1] * (lower - upper)


class _DecoupledDecay:
    """Optimizer mixin that subtracts `weight_decay` times a variable before each step.

    For dense gradients and optimizers whose step does not depend on the variable (Loshchilov and
    Hutter, Decoupled Weight Decay Regularization, ICLR 2019).
    """

    def __init__(self, weight_decay, **arguments):
        super().__init__(**arguments)
        self._set_hyper("weight_decay", weight_decay)
        self._decaying = None

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple],
        name: str | None = None,
        decay_var_list: Iterable[tf.Variable] | None = None,
        **arguments: Any,
    ) -> tf.Operation:
        """Apply gradients; only variables of `decay_var_list` decay, by default all."""
        self._decaying = decay_var_list and {variable.ref() for variable in decay_var_list}
        return super().apply_gradients(  # type: ignore[misc]  # the optimizer's, beside this class
            grads_and_vars, name=name, **arguments
        )

    def _prepare_local(self, device, dtype, apply_state):
        super()._prepare_local(device, dtype, apply_state)
        decay = self._get_hyper("weight_decay", dtype)
        if isinstance(decay, tf.keras.optimizers.schedules.LearningRateSchedule):
            decay = tf.cast(decay(self.iterations), dtype)
        apply_state[device, dtype]["weight_decay"] = tf.identity(decay)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        if not self._decaying or var.ref() in self._decaying:
            var.assign_sub(apply_state[var.device, var.dtype.base_dtype]["weight_decay"] * var)
        return super()._resource_apply_dense(grad, var, apply_state=apply_state)

    def _resource_apply_sparse_duplicate_indices(self, *arguments, **named):
        raise NotImplementedError("sparse gradients, with decoupled weight decay")


class OwnAdamW(_DecoupledDecay, tf.keras.optimizers.legacy.Adam):
    """Adam with decoupled weight decay, a number or schedule, not times the learning rate."""

    def __init__(self, weight_decay: float | Callable, **arguments: Any) -> None:
        super().__init__(weight_decay, name="AdamW", **arguments)


class OwnSGDW(_DecoupledDecay, tf.keras.optimizers.legacy.SGD):
    """SGD with decoupled weight decay, as of `OwnAdamW`."""

    def __init__(self, weight_decay: float | Callable, **arguments: Any) -> None:
        super().__init__(weight_decay, name="SGDW", **arguments)


dense_image_warp = tfa.image.dense_image_warp if tfa else own_dense_image_warp
AdamW = tfa.optimizers.AdamW if tfa else OwnAdamW
SGDW = tfa.optimizers.SGDW if tfa else OwnSGDW
