"""Conversion of public weights from the layouts of their files.

Every public file holds a backbone; the backbone's entry in `model.backbones` knows the
names of the tensors. The file of COCO also holds the rest of matterport's Mask R-CNN.
The file of an action backbone also holds its classifier.

Converted tensors are named by their roles (`backbone/c2_b0_conv1/kernel`,
`fpn/c5p5/bias`, `rpn/…`, `actor/…`, `mask/…`, `logits/…`) and in the network's order:

kernels     height, width, in, out; transposed convolutions: height, width, out, in
norms       gamma, beta, mean, variance; a bias before the norm is subtracted from mean;
            an action backbone's norms are folded into kernel and bias
objectness  one logit, foreground minus background
anchors     aspect ratios tall, square, wide
boxes       dy, dx, dh, dw, for each class except background
classes     in COCO's order, background last
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.model.backbones import (
    ACTION_BACKBONES,
    BACKBONES,
    ActionBackbone,
    Published,
)
from a2d_tf.model.layers import ConvNorm
from a2d_tf.pretrained import coco
from a2d_tf.pretrained.matterport import MatterportLayer, Sizes, matterport_layers
from a2d_tf.pretrained.weights_file import Weights

ReadTensor = Callable[[str, Sequence[int]], np.ndarray]
"""(name of a tensor in the file, expected shape) -> the tensor, float32."""

_NORM_WEIGHTS = ("gamma", "beta", "mean", "variance")
_KERAS_NORM_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
_TORCH_NORM_WEIGHTS = ("weight", "bias", "running_mean", "running_var")


class Source(NamedTuple):
    """A published file of weights and the backbone that it is for.

    Attributes:
      backbone: the backbone's name, a key of `backbones.BACKBONES` or
        `backbones.ACTION_BACKBONES`.
      published: description of the published file: its address, checksum, convention.
    """

    backbone: str
    published: Published


def _sources() -> dict[str, Source]:
    sources = {}
    for name, backbone in BACKBONES.items():
        for published in backbone.published:
            sources[published.source] = Source(name, published)
    for name, action_backbone in ACTION_BACKBONES.items():
        published = action_backbone.published
        sources[published.source] = Source(name, published)
    return sources


SOURCES = _sources()
"""{name of who trained the weights, such as matterport: the Source}."""


class Conversion(NamedTuple):
    """Converted weights, and the tensors of the file that were used and not used.

    Attributes:
      weights: the converted weights.
      used: names of the file's tensors that were converted.
      skipped: names of the file's tensors that the network does not need.
    """

    weights: Weights
    used: list[str]
    skipped: list[str]

    def counts(self) -> str:
        """Return a line of text: how many tensors were used and skipped."""
        return f"{len(self.used)} tensors used, {len(self.skipped)} skipped"


def convert(
    source: str,
    tensors: Mapping[str, np.ndarray],
    path: str,
    sha256: str = "",
    *,
    sizes: Sizes | None = None,
) -> Conversion:
    """Convert the tensors of a published file to the network's names and order of axes.

    Args:
      source: a key of SOURCES, who trained the weights, such as 'matterport'.
      tensors: {name in the file: array}, as `tensor_files.read_tensors` returns them.
      path: path of the file, for messages and for the result.
      sha256: checksum of the file, hexadecimal, for the result.
      sizes: sizes of the file's network, if it is a smaller one than published, as in
        tests; None for the published network.

    Returns:
      the weights, and which tensors of the file were used.

    Raises:
      InputError: a tensor is missing or has an unexpected shape.
    """
    sizes = sizes or Sizes()
    file_tensors = _FileTensors(tensors, path)
    backbone, published = SOURCES[source]
    weights = Weights(
        tensors=convert_tensors(file_tensors.read, source, sizes),
        source=source,
        backbone=sizes.backbone or backbone,
        classes=coco.CLASSES if published.detector else (),
        sha256=sha256,
        path=path,
    )
    return Conversion(weights, file_tensors.read_names, list(file_tensors.unread))


class _FileTensors:
    """The tensors of a file, which remembers those that were read.

    Attributes:
      unread: {name: tensor}, the tensors that were not yet read.
      read_names: names of the tensors that were read.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], path: str) -> None:
        self.unread = dict(tensors)
        self.read_names: list[str] = []
        self._path = path

    def read(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """Read a tensor, as float32.

        Args:
          name: the tensor's name in the file.
          shape: the expected shape.

        Raises:
          InputError: the tensor is missing or has another shape.
        """
        tensor = self.unread.pop(name, None)
        if tensor is None:
            raise InputError(f"{self._path}: {name} is missing, expected shape {shape}")
        if tensor.shape != tuple(shape):
            raise InputError(
                f"{self._path}: {name} has shape {tensor.shape}, expected shape {shape}"
            )
        self.read_names.append(name)
        return tensor.astype(np.float32)


def convert_tensors(
    read: ReadTensor, source: str, sizes: Sizes
) -> dict[str, np.ndarray]:
    """Convert those tensors of a published file that the network needs.

    Args:
      read: reads a tensor of the file: (its name in the file, the expected shape) ->
        float32 array. It raises an error if there is no such tensor.
      source: a key of SOURCES, who trained the weights, such as 'matterport'.
      sizes: sizes of the file's network.

    Returns:
      {role: float32 array}, such as `backbone/c2_b0_conv1/kernel`, in the network's
      order of axes, classes and coordinates (see the module).
    """
    backbone_name, published = SOURCES[source]
    if backbone_name in ACTION_BACKBONES:
        return _convert_action_backbone(read, ACTION_BACKBONES[backbone_name])
    backbone = BACKBONES[sizes.backbone or backbone_name]
    # Only the layers of a backbone know their kernels' shapes, which do not depend on
    # the image's size.
    image = tf.keras.Input([64, 64, 3])
    maps = backbone.build(
        image,
        sizes.width_multiplier,
        convention=published.convention,
        name="backbone",
    )
    tensors = {}
    for layer in tf.keras.Model(image, maps).layers:
        if not isinstance(layer, ConvNorm):
            continue
        role = layer.name[len("backbone_") :]
        convolution, norm = published.tensors(role)
        shape = tuple(layer.kernel.shape)
        if published.file.endswith(".pth"):
            weights = _convert_torch_layer(read, convolution, shape, norm)
        else:
            weights = _convert_keras_layer(read, convolution, shape, norm)
        for weight, value in weights.items():
            tensors[f"backbone/{role}/{weight}"] = value
    if published.detector:
        widths = [int(level.shape[-1]) for level in maps]
        for matterport_layer in matterport_layers(sizes, widths):
            weights = _convert_matterport_layer(read, matterport_layer)
            for weight, value in weights.items():
                tensors[f"{matterport_layer.role}/{weight}"] = value
    return tensors


def _convert_torch_layer(
    read: ReadTensor, convolution: str, kernel_shape: Sequence[int], norm: str
) -> dict[str, np.ndarray]:
    """Convert a convolution of PyTorch and its norm: {weight: array}.

    The axes of PyTorch's kernels are out, in, height, width.
    """
    height, width, channels, filters = kernel_shape
    kernel = read(f"{convolution}.weight", (filters, channels, height, width))
    tensors = {"kernel": kernel.transpose(2, 3, 1, 0)}
    for name, torch_name in zip(_NORM_WEIGHTS, _TORCH_NORM_WEIGHTS):
        tensors[name] = read(f"{norm}.{torch_name}", (filters,))
    return tensors


def _convert_keras_layer(
    read: ReadTensor, layer: str, kernel_shape: Sequence[int], norm: str | None = None
) -> dict[str, np.ndarray]:
    """Convert a Keras layer and its norm: {weight: array}.

    If there is a norm, the layer's bias is subtracted from its mean.
    """
    filters = kernel_shape[-1]
    tensors = {"kernel": read(f"{layer}/kernel", kernel_shape)}
    bias = read(f"{layer}/bias", (filters,))
    if norm is None:
        tensors["bias"] = bias
        return tensors
    for name, keras_name in zip(_NORM_WEIGHTS, _KERAS_NORM_WEIGHTS):
        tensors[name] = read(f"{norm}/{keras_name}", (filters,))
    tensors["mean"] -= bias
    return tensors


def _convert_action_backbone(
    read: ReadTensor, backbone: ActionBackbone
) -> dict[str, np.ndarray]:
    """Convert an action backbone and its classifier: {role: array}.

    Norms are folded into the convolutions before them.
    """
    published = backbone.published
    frames = tf.keras.Input([None, None, None, 3])
    maps = backbone.build(frames)
    model = tf.keras.Model(frames, maps)
    tensors = {}
    for layer in model.layers:
        if not layer.weights:
            continue
        role = layer.name[len(backbone.prefix) :]
        convolution, norm = published.tensors(role)
        kernel = read(f"params/{convolution}/kernel", tuple(layer.kernel.shape))
        filters = kernel.shape[-1]
        # The norms have no gamma.
        beta = read(f"params/{norm}/bias", (filters,))
        mean = read(f"batch_stats/{norm}/mean", (1, 1, 1, 1, filters)).ravel()
        variance = read(f"batch_stats/{norm}/var", (1, 1, 1, 1, filters)).ravel()
        scale = 1 / np.sqrt(variance + published.convention.epsilon)
        tensors[f"backbone/{role}/kernel"] = kernel * scale
        tensors[f"backbone/{role}/bias"] = beta - mean * scale
    logits, _ = published.tensors("logits")
    *_, last = maps.values()
    shape = (1, 1, 1, last.shape[-1], backbone.classes)
    tensors["logits/kernel"] = read(f"params/{logits}/kernel", shape)[0, 0, 0]
    tensors["logits/bias"] = read(f"params/{logits}/bias", (backbone.classes,))
    return tensors


def _convert_matterport_layer(
    read: ReadTensor, layer: MatterportLayer
) -> dict[str, np.ndarray]:
    """Convert a layer of matterport's network: {weight: array}."""
    tensors = _convert_keras_layer(read, layer.name, layer.kernel_shape, layer.norm)
    for weight, value in tensors.items():
        if layer.change is not None:
            value = layer.change(value)
        if value.ndim == 2:  # a matrix becomes the kernel of a 1x1 convolution
            value = value[None, None]
        tensors[weight] = value
    return tensors
