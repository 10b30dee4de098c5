"""The part of the readout that reads actions from motion maps.

Averages over time, over the halves of a box and over cells are linear, and so is this:
maps of features are read first and give maps of logits, for the upper half of a box and
the lower one (see `readout.readout`). Flow histograms are read last, because the root
of their averages is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.ops.motion_maps import FLOW_HISTOGRAMS, MotionMap


class MotionReadout(tf.keras.Model):
    """The linear layers that read actions from motion maps, as a Keras model.

    Motion maps hold features of the motion in the frames around a key frame: those of
    an action backbone, and histograms of flow. The model turns {name of a map: [..., h,
    w, C]} into {name: action logits [..., h, w, 2 |Y|]}: those for the upper half of a
    box, then those for the lower half. Flow histograms are not among these maps, see
    `read_histograms`. The weights are zeros until `assign` sets them; they do not
    train.

    Args:
      maps: the motion maps that it reads, flow histograms included.
      num_actions: |Y|, the number of actions.
    """

    def __init__(self, maps: Sequence[MotionMap], num_actions: int) -> None:
        super().__init__(name="motion_readout", dtype="float32")
        self._num_actions = num_actions
        self._weights_of = {}
        for motion_map in maps:
            layer = _Halves(num_actions, name=f"motion_readout_{motion_map.name}")
            layer.build([motion_map.channels])
            self._weights_of[motion_map.name] = layer

    def call(self, maps: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Read maps of an action backbone: return the action logits at each cell.

        Args:
          maps: {name of a map: [..., h, w, C]}, features of an action backbone such as
            I3D, without flow histograms.

        Returns:
          {name: float32 [..., h, w, 2 |Y|]}, for the upper half of a box, then for the
          lower.
        """
        logits = {}
        for name, features in maps.items():
            kernel = self._weights_of[name].kernel
            kernel = tf.reshape(kernel, [-1, 2 * self._num_actions])
            logits[name] = tf.tensordot(tf.cast(features, tf.float32), kernel, 1)
        return logits

    def read_histograms(self, pooled: tf.Tensor) -> tf.Tensor:
        """Read flow histograms: return the action logits of boxes.

        Args:
          pooled: float32 [B, N, 2, C], the flow histograms, averaged over the upper and
            the lower half of boxes, as `average_motion_map` returns them.

        Returns:
          float32 [B, N, |Y|].
        """
        kernel = self._weights_of[FLOW_HISTOGRAMS.name].kernel
        return tf.einsum("bnhc,chy->bny", pooled, kernel)

    def assign(self, kernels: Mapping[str, np.ndarray]) -> None:
        """Set the weights to those of a fit.

        Args:
          kernels: {name of a map: kernel [2 C, |Y|]}, the rows of the upper half of a
            box, then those of the lower one.
        """
        for name, kernel in kernels.items():
            halves = np.stack(np.split(kernel, 2), axis=1)
            self._weights_of[name].kernel.assign(np.float32(halves))


class _Halves(tf.keras.layers.Layer):
    """The weights of a map's channels for the two halves of a box.

    Attributes:
      kernel: [C, 2, units], zeros before they are fitted.
    """

    def __init__(self, units: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._units = units

    def build(self, shape: Sequence[int]) -> None:
        """Create the kernel."""
        self.kernel = self.add_weight(
            "kernel",
            [shape[-1], 2, self._units],
            initializer="zeros",
            trainable=False,
        )
        self.built = True
