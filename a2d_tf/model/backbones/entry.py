"""The description of a backbone: its builder, public weights, and their convention.

A convention is what a network must share with published weights, beside the numbers.
Networks of equal shapes but different conventions compute different functions, and
nothing fails: the results are merely poor. So imported weights name their source, and
the network follows its convention. Orders that a permutation can convert (channels
within tensors, classes, anchor ratios, coordinates) are converted once, on import, and
are not part of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from a2d_tf.ops.boxes import MAX_LOG_SCALE


@dataclasses.dataclass(frozen=True)
class Convention:
    """The convention of a set of weights: what a network with these weights must share.

    Attributes:
      channels: 'rgb' or 'bgr', the order of the input's channels.
      mean: mean of each channel in that order; the input is (x - mean) / std, x in
        0..255.
      std: divisor of each channel, see `mean`.
      epsilon: added to the variance in every batch normalisation.
      padding: how the stem's pooling and strided 3x3 convolutions are padded: 'same'
        (TensorFlow's, with more at the end) or 'symmetric' (PyTorch's, one pixel on
        either side).
      stride_in_1x1: whether a stage strides in its first 1x1 or in its 3x3 convolution.
      rpn_weights: factors of dy, dx, dh and dw in the RPN, see `BoxCoder`.
      head_weights: factors of dy, dx, dh and dw in the actor head.
      max_log_scale: bound on dh and dw; infinite for none.
      roi_align: 'aligned' or 'legacy', see `ops.roi_align`.
      anchors: sizes in pixels of the anchors of P2..P6 that the proposal network was
        trained with, one for each level; None if the weights have no such network.
    """

    channels: str = "rgb"
    mean: tuple = (123.7, 116.8, 103.9)
    std: tuple = (1.0, 1.0, 1.0)
    epsilon: float = 1e-5
    padding: str = "same"
    stride_in_1x1: bool = True
    rpn_weights: tuple = (1.0, 1.0, 1.0, 1.0)
    head_weights: tuple = (10.0, 10.0, 5.0, 5.0)
    max_log_scale: float = MAX_LOG_SCALE
    roi_align: str = "aligned"
    anchors: tuple | None = None

    def preprocess(self, rgb: tf.Tensor) -> tf.Tensor:
        """Normalise RGB frames for a backbone: order of channels, mean, deviation.

        Args:
          rgb: RGB of 0 to 255, of any dtype, [N, H, W, 3] with static H and W.

        Returns:
          float32 [N, H, W, 3].
        """
        pixels = tf.cast(rgb, tf.float32)
        if self.channels == "bgr":
            pixels = tf.gather(pixels, [2, 1, 0], axis=-1)
        # By rows: broadcasting along three channels takes ten times as long.
        width = rgb.shape[-2]
        mean = np.tile(np.asarray(self.mean, np.float32), width)
        std = np.tile(np.asarray(self.std, np.float32), width)
        rows = (tf.reshape(pixels, [-1, 3 * width]) - mean) / std
        return tf.reshape(rows, [-1, *rgb.shape[1:]])


@dataclasses.dataclass(frozen=True)
class Published:
    """A published file of weights: where it is, who made it, how to read it.

    Attributes:
      name: the weights' name in --init_rgb and --init_flow.
      source: who trained the weights; it names their layout and convention.
      convention: the convention of the weights.
      tensors: (role of a convolution) -> (its name, the name of its norm) in the file.
        A role is the name of our layer without the backbone's prefix, such as
        c2_b0_conv1.
      url: address of the file; its name if it comes in a package. A .pth is PyTorch's,
        a .ckpt Flax's, others are Keras'.
      md5: checksum of the file, hexadecimal.
      licence: as published.
      package: the package that installs the file, NAME==VERSION; empty if the file is
        downloaded.
      detector: whether the file also holds a Mask R-CNN's pyramid and heads, in
        matterport's layout.
    """

    name: str
    source: str
    convention: Convention
    tensors: Callable[[str], tuple[str, str]]
    url: str
    md5: str
    licence: str
    package: str = ""
    detector: bool = False

    @property
    def file(self) -> str:
        """The name of the published file, the last part of its address."""
        return self.url.rsplit("/", 1)[-1]


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone that sees single frames: an entry of a module's BACKBONES.

    Attributes:
      build: builds the layers: (x float [N, H, W, 3], width multiplier, norm, *,
        convention, stem_norm, deviation, name) -> maps C2..C5 at strides 4, 8, 16 and
        32. `stem_norm` is the stem's norm, by default `norm`; `name` is the prefix of
        the layers' names. `deviation` is the typical size of the input's values: a
        frozen norm does not normalise, so the stem divides by it.
      family: the middle of its layers' names, as resnet in rgb_resnet_stem. Backbones
        of one family can share weights of blocks.
      stem: number of channels of the first convolution at a width multiplier of 1.
      published: descriptions of the public weights of the backbone; empty if there are
        none.
    """

    build: Callable
    family: str
    stem: int
    published: tuple[Published, ...] = ()


@dataclasses.dataclass(frozen=True)
class ActionBackbone:
    """A backbone that sees frames in time: an entry of a module's ACTION_BACKBONES.

    Attributes:
      build: builds the layers: float32 [N, T, H, W, 3], RGB of 0 to 255 -> {name: map
        [N, t, h, w, C]}, the maps of `motion_maps.BACKBONE_MAPS`. Its layers do not
        train.
      prefix: beginning of its layers' names; the rest of a name is the layer's role,
        its name in files of weights.
      classes: number of classes that the public weights were trained for.
      published: description of the public weights.
      notice: text on the authors and the licence of the weights, for every folder that
        holds them.
    """

    build: Callable
    prefix: str
    classes: int
    published: Published
    notice: str
