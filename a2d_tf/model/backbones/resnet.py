"""Bottleneck ResNets (He et al. 2016), the backbones of both streams (paper, sections 3.1, 3.2).

One builder covers the variants of public weights: the stride is in the first 1x1 convolution (the
original, matterport, keras.applications, detectron2) or in the 3x3 (torchvision), and strided
windows are padded TensorFlow's way (matterport) or PyTorch's (the others).
"""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from a2d_tf.model.autograph import plain
from a2d_tf.model.backbones.group_norm import GroupNorm

BLOCKS = {
    "resnet14": (1, 1, 1, 1),
    "resnet26": (2, 2, 2, 2),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
FROZEN = ("frozen_bn", "frozen_stats")
BATCH_NORMS = (*FROZEN, "bn")
NORMS = (*BATCH_NORMS, "group_norm", "none")
# Output layers start near zero, so that an untrained network predicts all classes alike.
OUTPUT_STDDEV = 0.01


class ConvNorm(tf.keras.layers.Layer):
    """Convolution, normalisation, optional ReLU.

    `frozen_bn` holds gamma, beta, mean and variance as constants and folds them into the kernel at
    each step, W * gamma / sqrt(variance + epsilon): the gradient of W is exact, and normalising
    costs no pass over the activations. In `frozen_stats` gamma and beta are trained, as in
    matterport's and the authors' code. `none` has a bias instead.

    Under a mixed precision policy the folded kernel is computed in float32, then rounded.

    Args:
      filters: output channels.
      size: side of the kernel.
      strides: of the convolution.
      norm: one of NORMS.
      relu: whether a ReLU follows.
      epsilon: of the normalisation.
      padding: 'same' or 'valid'.
      stddev: of a normal kernel initialiser; by default He's with a ReLU and LeCun's without.
      gain: initial gamma under a frozen norm.
    """

    rectify = staticmethod(tf.nn.relu)

    def __init__(
        self,
        filters: int | None,
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
        if norm not in NORMS:
            raise ValueError(f"norm is one of {NORMS}, got {norm}")
        self.filters, self.size, self.strides, self.norm = filters, size, strides, norm
        self.relu, self.epsilon, self.padding = relu, epsilon, padding.upper()
        self.stddev, self.gain = stddev, gain

    def build(self, shape: tf.TensorShape) -> None:
        kernel = [self.size, self.size, shape[-1], self.filters]
        init = "he_normal" if self.relu else "lecun_normal"
        if self.stddev:
            init = tf.keras.initializers.RandomNormal(stddev=self.stddev)
        self.kernel = self._weight("kernel", kernel, initializer=init)
        if self.norm in FROZEN:
            start = (("gamma", self.gain), ("beta", 0), ("mean", 0), ("variance", 1))
            for name, value in start:
                trainable = self.norm == "frozen_stats" and name in ("gamma", "beta")
                constant = tf.keras.initializers.Constant(value)
                weight = self._weight(
                    name, [self.filters], trainable=trainable, initializer=constant
                )
                setattr(self, name, weight)
        elif self.norm == "bn":
            self.normalise = tf.keras.layers.BatchNormalization(
                epsilon=self.epsilon, name="bn", dtype=self.dtype_policy
            )
        elif self.norm == "group_norm":
            self.normalise = GroupNorm(self.epsilon, name="gn", dtype=self.dtype_policy)
        else:
            self.bias = self._weight("bias", [self.filters], initializer="zeros")

    def _weight(self, name, shape, **options):
        return self.add_weight(name, shape, experimental_autocast=False, **options)

    @plain
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        kernel, bias = self.kernel, None
        if self.norm in (*FROZEN, "none"):
            kernel, bias = self.folded()
        x = self.convolve(x, tf.cast(kernel, x.dtype))
        if bias is not None:
            x = tf.nn.bias_add(x, tf.cast(bias, x.dtype))
        else:
            x = self.normalise(x, training=training)
        return self.rectify(x) if self.relu else x

    def folded(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return (kernel, bias) of the equivalent convolution without its frozen norm."""
        if self.norm == "none":
            return self.kernel, self.bias
        scale, offset = _AFFINES.get().get(id(self)) or _affine(self.statistics(), self.epsilon)
        return self.kernel * scale, offset

    def statistics(self) -> tuple[tf.Tensor, ...]:
        """Return gamma, beta, mean and variance of a batch norm."""
        if self.norm in FROZEN:
            return self.gamma, self.beta, self.mean, self.variance
        bn = self.normalise
        return bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance

    def convolve(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve x [N, H, W, C] with a kernel of this layer's shape."""
        once = self.size == 1 or self.padding == "VALID"
        # In float16 a matrix product accumulates in 16 bits on a CPU, a convolution does not.
        if once and x.shape[1:3] == kernel.shape[:2] and x.dtype != tf.float16:
            # A fully connected layer. The convolution would first reorder the whole kernel: for the
            # 64 RoIs of a head it takes twice as long, gradients included.
            flat = tf.reshape(x, [-1, math.prod(kernel.shape[:3])])
            x = tf.matmul(flat, tf.reshape(kernel, [-1, self.filters]))
            return tf.reshape(x, [-1, 1, 1, self.filters])
        return tf.nn.conv2d(x, kernel, self.strides, self.padding)


_AFFINES: contextvars.ContextVar[dict] = contextvars.ContextVar("affines", default={})
"""{id of a layer: its (scale, offset)} inside of `affines_at_once`."""


class Backbones(tf.keras.Model):
    """A functional model that computes what its frozen norms multiply and add for all at once."""

    @plain
    def call(self, inputs: dict, training: bool | None = None, mask: Any = None) -> dict:
        with affines_at_once(self.layers):
            return super().call(inputs, training, mask)


@contextlib.contextmanager
def affines_at_once(layers: Iterable[tf.keras.layers.Layer]) -> Iterator[None]:
    """Compute the scales and offsets of frozen norms in a few operations rather than five each."""
    frozen = [x for x in layers if isinstance(x, ConvNorm) and x.norm in FROZEN]
    if not frozen:
        yield
        return
    statistics = [tf.concat(parts, axis=0) for parts in zip(*(x.statistics() for x in frozen))]
    sizes = [layer.beta.shape[0] for layer in frozen]
    epsilons = np.repeat(np.array([x.epsilon for x in frozen], np.float32), sizes)
    parts = (tf.split(x, sizes) for x in _affine(statistics, epsilons))
    before = _AFFINES.set(dict(zip(map(id, frozen), zip(*parts))))
    try:
        yield
    finally:
        _AFFINES.reset(before)


def _affine(statistics, epsilon):
    gamma, beta, mean, variance = statistics
    scale = gamma * tf.math.rsqrt(variance + epsilon)
    return scale, beta - mean * scale


def _pad(x, padding):
    """Pad the input of a strided 3x3 window; returns it and the padding left to the window."""
    if padding == "symmetric":
        return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), "valid"
    return x, padding


def _bottleneck(x, width, strides, name, *, stride_in_1x1, padding, gain, options):
    """1x1, 3x3, 1x1 with a shortcut, which is projected where the shape changes."""
    first, second = (strides, 1) if stride_in_1x1 else (1, strides)
    y = ConvNorm(width, 1, first, name=f"{name}_conv1", **options)(x)
    y, padding = (y, "same") if second == 1 else _pad(y, padding)
    y = ConvNorm(width, 3, second, padding=padding, name=f"{name}_conv2", **options)(y)
    y = ConvNorm(4 * width, 1, relu=False, gain=gain, name=f"{name}_conv3", **options)(y)
    if strides != 1 or x.shape[-1] != 4 * width:
        x = ConvNorm(4 * width, 1, strides, relu=False, name=f"{name}_shortcut", **options)(x)
    return tf.keras.layers.ReLU(name=f"{name}_out")(x + y)


def resnet(
    x: tf.Tensor,
    backbone: str,
    width_multiplier: float = 1.0,
    norm: str = "frozen_bn",
    *,
    stride_in_1x1: bool = True,
    epsilon: float = 1e-5,
    padding: str = "same",
    stem_norm: str | None = None,
    deviation: float = 1.0,
    name: str = "resnet",
) -> list[tf.Tensor]:
    """Compute the feature maps C2..C5 of an image batch.

    Args:
      x: float [N, H, W, 3], preprocessed.
      backbone: a key of BLOCKS.
      width_multiplier: factor on all channels (64 in the stem at 1).
      norm: one of NORMS.
      stride_in_1x1: whether a stage strides in its first 1x1 or in its 3x3 convolution.
      epsilon: of the normalisation.
      padding: of strided 3x3 windows and the stem's pooling: 'same' (TensorFlow's, which pads an
        even side only at its end) or 'symmetric' (PyTorch's).
      stem_norm: norm of the stem, if another.
      deviation: typical size of the input's values. A frozen norm does not normalise, so its
        initial gamma keeps activations near one: it divides by the deviation in the stem, and by
        the square root of a stage's number of blocks before each sum.
      name: prefix of the layers' names.

    Returns:
      list of [N, H/4, W/4, 4w], [N, H/8, W/8, 8w], [N, H/16, W/16, 16w], [N, H/32, W/32, 32w] with
      w = 64 * width_multiplier.
    """
    if backbone not in BLOCKS:
        raise ValueError(f"backbone is one of {sorted(BLOCKS)}, got {backbone}")
    width = int(round(64 * width_multiplier))
    x = tf.pad(x, [[0, 0], [3, 3], [3, 3], [0, 0]])
    stem: dict = dict(epsilon=epsilon, padding="valid", gain=1 / deviation, name=f"{name}_stem")
    x = ConvNorm(width, 7, 2, stem_norm or norm, **stem)(x)
    # Zero padding does not change a maximum after the ReLU.
    x, pooling = _pad(x, padding)
    x = tf.keras.layers.MaxPooling2D(3, 2, padding=pooling, name=f"{name}_pool")(x)
    maps = []
    for stage, blocks in enumerate(BLOCKS[backbone]):
        for block in range(blocks):
            strides = 2 if block == 0 and stage > 0 else 1
            x = _bottleneck(
                x,
                width * 2**stage,
                strides,
                f"{name}_c{stage + 2}_b{block}",
                stride_in_1x1=stride_in_1x1,
                padding=padding,
                gain=blocks**-0.5,
                options={"norm": norm, "epsilon": epsilon},
            )
        maps.append(x)
    return maps
