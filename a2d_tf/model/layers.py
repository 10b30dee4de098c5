"""The layers that the network is built of: convolutions with their norms.

A norm's statistics, scales and offsets are float32 in any precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from a2d_tf.model.autograph import without_autograph
from a2d_tf.model.frozen_norms import FROZEN, Folded, LentFolds, Statistics
from a2d_tf.model.group_norm import GroupNorm

# Output layers start near zero, so that an untrained network predicts all classes
# alike.
OUTPUT_STDDEV = 0.01


class ConvNorm(tf.keras.layers.Layer):
    """Convolution, normalisation, optional ReLU.

    `frozen_bn` holds gamma, beta, mean and variance as constants and folds them into
    the kernel at each step, W * gamma / sqrt(variance + epsilon): the gradient of W is
    exact, and normalising costs no pass over the activations. In `frozen_stats` gamma
    and beta are trained, as in matterport's and the authors' code. `none` has a bias
    instead.

    Under a mixed precision policy the folded kernel is computed in float32, then
    rounded.

    Args:
      filters: number of output channels.
      size: side of the square kernel in cells.
      strides: step of the convolution in cells, the same along both axes.
      norm: normalisation, 'frozen_bn', 'frozen_stats', 'group_norm' or 'none'.
      relu: whether a ReLU follows.
      epsilon: added to the variance in the normalisation.
      padding: 'same' or 'valid'.
      stddev: standard deviation of a normal kernel initialiser; None for He's with a
        ReLU and LeCun's without.
      gain: initial gamma under a frozen norm.
    """

    rectify = staticmethod(tf.nn.relu)
    lent_folds: LentFolds | None = None
    """The folded norms of the `JoinedNorms` model that the layer belongs to, if any.

    While that model runs, it has folded the norms of all its layers, and `folded`
    returns its result.
    """

    def __init__(
        self,
        filters: int,
        size: int,
        strides: int = 1,
        norm: str = "none",
        *,
        relu: bool = True,
        epsilon: float = 1e-5,
        padding: str = "same",
        stddev: float | None = None,
        gain: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.size = size
        self.strides = strides
        self.norm = norm
        self.relu = relu
        self.epsilon = epsilon
        self.padding = padding.upper()
        self.stddev = stddev
        self.gain = gain

    def build(self, shape: tf.TensorShape) -> None:
        """Create the kernel and the weights of the norm; Keras calls it at first use.

        The weights are `kernel` [size, size, in, filters] and gamma, beta, mean and
        variance [filters] of a frozen norm; a group norm's layer `gn`; or `bias`
        [filters] without norm.

        Args:
          shape: the input's shape, [N, H, W, in].
        """
        if self.stddev:
            initializer = tf.keras.initializers.RandomNormal(stddev=self.stddev)
        elif self.relu:
            initializer = "he_normal"
        else:
            initializer = "lecun_normal"
        self.kernel = self.add_weight(
            "kernel",
            [self.size, self.size, shape[-1], self.filters],
            initializer=initializer,
            experimental_autocast=False,
        )
        if self.norm in FROZEN:
            affine = self.norm == "frozen_stats"
            self.gamma = self._channel_weight("gamma", self.gain, affine)
            self.beta = self._channel_weight("beta", 0, affine)
            self.mean = self._channel_weight("mean", 0, False)
            self.variance = self._channel_weight("variance", 1, False)
        elif self.norm == "group_norm":
            self.normalise = GroupNorm(self.epsilon, name="gn", dtype=self.dtype_policy)
        else:
            self.bias = self._channel_weight("bias", 0, True)

    @without_autograph
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Convolve features, normalise them, and apply the ReLU if there is one.

        Args:
          x: [N, H, W, in].
          training: whether the network is being trained; only a group norm reads it.

        Returns:
          [N, H', W', filters] in the dtype of `x`.
        """
        if self.norm == "group_norm":
            x = self.convolve(x, tf.cast(self.kernel, x.dtype))
            x = self.normalise(x, training=training)
        else:
            kernel, bias = self.folded()
            x = self.convolve(x, tf.cast(kernel, x.dtype))
            x = tf.nn.bias_add(x, tf.cast(bias, x.dtype))
        return self.rectify(x) if self.relu else x

    def folded(self) -> Folded:
        """Return kernel and bias of the equivalent convolution without frozen norm.

        Do not call it with group norm, which depends on the input.
        """
        if self.norm == "none":
            return Folded(self.kernel, self.bias)
        if self.lent_folds is not None:
            lent_fold = self.lent_folds.find(self.name)
            if lent_fold is not None:
                return lent_fold
        statistics = Statistics(self.gamma, self.beta, self.mean, self.variance)
        affine = statistics.affine(self.epsilon)
        return Folded(self.kernel * affine.scale, affine.offset)

    def convolve(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve features with a kernel, by this layer's strides and padding.

        Args:
          x: [N, H, W, in].
          kernel: [size, size, in, filters], in the dtype of `x`.

        Returns:
          [N, H', W', filters], without norm, bias and ReLU.
        """
        adds_no_border = self.size == 1 or self.padding == "VALID"
        if adds_no_border and x.shape[1:3] == kernel.shape[:2]:
            # A fully connected layer. The convolution would first reorder the whole
            # kernel: for the 64 RoIs of a head it takes twice as long, gradients
            # included.
            flat = tf.reshape(x, [-1, math.prod(kernel.shape[:3])])
            x = tf.matmul(flat, tf.reshape(kernel, [-1, self.filters]))
            return tf.reshape(x, [-1, 1, 1, self.filters])
        return tf.nn.conv2d(x, kernel, self.strides, self.padding)

    def _channel_weight(self, name: str, value: float, trainable: bool) -> tf.Variable:
        return self.add_weight(
            name,
            [self.filters],
            initializer=tf.keras.initializers.Constant(value),
            trainable=trainable,
            experimental_autocast=False,
        )


class Function(tf.keras.layers.Layer):
    """A function of tensors as a Keras layer, which model summaries show by its name.

    Args:
      function: takes the layer's inputs as its arguments and returns tensors.
    """

    def __init__(self, function: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function

    @without_autograph
    def call(self, inputs: list) -> Any:
        """Apply the function to the inputs, its arguments, and return the result."""
        return self.function(*inputs)


def merge_roi_axis(x: tf.Tensor) -> tf.Tensor:
    """Merge the axes of frames and RoIs, so that 2D layers can read RoIs' features.

    Args:
      x: [B, R, n, n, C], features of R RoIs of each of B frames on n x n cells.

    Returns:
      [B * R, n, n, C].
    """
    return tf.reshape(x, [-1, *x.shape[2:]])


def split_roi_axis(x: tf.Tensor, rois: tf.Tensor, *shape: int) -> tf.Tensor:
    """Undo `merge_roi_axis` for the output of a head's last layer.

    Args:
      x: [B * R, ...], with as many values per RoI as `shape` has.
      rois: a tensor [B, R, ...] that tells B and R.
      shape: shape of one RoI's output.

    Returns:
      float32 [B, R, *shape].
    """
    x = tf.reshape(x, [-1, rois.shape[1] or tf.shape(rois)[1], *shape])
    return tf.cast(x, tf.float32)


def two_fc_layers(
    x: tf.Tensor, units: int, norm: str, name: str, epsilon: float = 1e-5
) -> tf.Tensor:
    """Build the two fully connected layers of Fast R-CNN, with ReLUs.

    They are convolutions: n x n without padding, then 1x1. Their names are `name` with
    _fc1 and _fc2.

    Args:
      x: [B * R, n, n, C], features of RoIs.
      units: outputs of each layer.
      norm: normalisation, 'frozen_bn', 'frozen_stats', 'group_norm' or 'none'.
      name: prefix of the layers' names.
      epsilon: added to the variance in the normalisation.

    Returns:
      [B * R, 1, 1, units].
    """
    x = ConvNorm(
        units,
        x.shape[1],
        norm=norm,
        epsilon=epsilon,
        padding="valid",
        name=f"{name}_fc1",
    )(x)
    return ConvNorm(units, 1, norm=norm, epsilon=epsilon, name=f"{name}_fc2")(x)


def output_layer(x: tf.Tensor, channels: int, name: str) -> tf.Tensor:
    """Build the last layer of a head: a 1x1 convolution with bias, without a ReLU.

    It starts near zero, so that an untrained network predicts all classes alike.

    Args:
      x: [N, h, w, C].
      channels: number of outputs per cell.
      name: name of the layer.

    Returns:
      [N, h, w, channels].
    """
    return ConvNorm(channels, 1, relu=False, stddev=OUTPUT_STDDEV, name=name)(x)
