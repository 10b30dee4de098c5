"""Imported weights, and their conversion from the layouts of public files.

Every public file holds a backbone, whose entry in `model.backbones` knows the names of
its tensors. That of COCO also holds the rest of matterport's Mask R-CNN.

Converted tensors are named by their roles (`backbone/c2_b0_conv1/kernel`,
`fpn/c5p5/bias`, `rpn/…`, `actor/…`, `mask/…`) and in the network's order:

kernels     height, width, in, out (a transposed convolution's: height, width, out, in)
norms       gamma, beta, mean, variance; a bias b before the norm is folded: mean - b
objectness  one logit, foreground minus background
anchors     ratios tall, square, wide
boxes       dy, dx, dh, dw, for each class but background
classes     as COCO counts them, background last
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import h5py
import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE, write_file
from a2d_tf.model import backbones
from a2d_tf.model.backbones import BACKBONES
from a2d_tf.model.layers import ConvNorm

SOURCES = {
    published.source: (name, published)
    for name, backbone in BACKBONES.items()
    for published in backbone.published
}
"""{source: (name of its backbone, its Published)}."""
_NORMS = ("gamma", "beta", "mean", "variance")
_TORCH_NORMS = ("weight", "bias", "running_mean", "running_var")
_ANCHORS = 3
_FORMAT = 2
_FIELDS = ("source", "backbone", "classes", "sha256")
_SIZES = {
    "fpn_channels": "fpn/p2",
    "rpn_channels": "rpn/conv",
    "head_units": "actor/fc2",
    "mask_channels": "mask/deconv",
}
CLASSES = tuple(
    """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
    fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
    bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
    sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
    wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
    hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock,
    vase, scissors, teddy bear, hair drier, toothbrush""".replace("\n    ", " ").split(
        ", "
    )
)
"""COCO's, in the order of its detectors."""
ALIASES = {"adult": "person", "baby": "person", "ball": "sports ball"}
"""Names of A2D's actors in COCO, where they differ."""


def datasets(group: h5py.Group) -> dict[str, np.ndarray]:
    """Read all datasets of an HDF5 group: {path: array}."""
    paths: list[str] = []
    group.visit(paths.append)
    return {
        p: np.asarray(group[p][()]) for p in paths if isinstance(group[p], h5py.Dataset)
    }


@dataclasses.dataclass(frozen=True)
class Weights:
    """Imported weights.

    Attributes:
      tensors: {role: array}.
      source: who trained them; it names their convention, of `backbones.CONVENTIONS`.
      backbone: of `backbones.BACKBONES`.
      classes: names of the detector's classes, without background; empty for a
        backbone.
      sha256: of the file that they were imported from.
      path: their file, for messages.
    """

    tensors: dict
    source: str
    backbone: str
    classes: tuple
    sha256: str
    path: str

    def model_fields(self, stream: str = "rgb") -> dict:
        """Return the fields of the ModelConfig that these weights fit as a stream's."""
        stem = backbones.BACKBONES[self.backbone].stem
        fields = {
            f"{stream}_convention": self.source,
            "backbone": self.backbone,
            "width_multiplier": self.tensors["backbone/stem/kernel"].shape[-1] / stem,
        }
        if stream == "rgb":
            fields.update(backbones.implied_settings(self.source))
            if self.anchors:
                fields["anchor_sizes"] = ",".join(f"{size:g}" for size in self.anchors)
        for field, role in _SIZES.items():
            if f"{role}/kernel" in self.tensors:
                fields[field] = self.tensors[f"{role}/kernel"].shape[-1]
        if "mask_channels" in fields:
            layers = {
                role.split("/")[1]
                for role in self.tensors
                if role.startswith("mask/conv")
            }
            fields["mask_layers"] = len(layers)
        return fields

    @property
    def anchors(self) -> tuple | None:
        """The anchors' sizes of its proposal network, see `Convention`; None without
        one.
        """
        return backbones.CONVENTIONS[self.source].anchors

    def write(self, path: str | os.PathLike) -> None:
        """Write the file atomically."""
        facts = {"format": _FORMAT, **{name: getattr(self, name) for name in _FIELDS}}

        def fill(file: BinaryIO) -> None:
            with h5py.File(file.name, "w") as output:
                output.attrs.update(
                    {name: json.dumps(value) for name, value in facts.items()}
                )
                for role, tensor in self.tensors.items():
                    output.create_dataset(role, data=tensor)

        write_file(path, fill)

    @classmethod
    def read(cls, path: str) -> Weights:
        """Read a file; InputError where there is none of imported weights, or a
        damaged one.
        """
        try:
            with h5py.File(path, "r") as file:
                facts = {name: json.loads(value) for name, value in file.attrs.items()}
                tensors = datasets(file)
            if facts.pop("format") != _FORMAT:
                raise ValueError("unsupported version")
            facts["classes"] = tuple(facts["classes"])
            return cls(tensors=tensors, path=path, **facts)
        except UNREADABLE as error:
            raise InputError(
                f"{path}: not a file of imported weights, or corrupt ({error}); use "
                f"{', '.join(backbones.PUBLISHED)}, or a new file of a2d weights"
            ) from error


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the source's network; the defaults are the published ones."""

    backbone: str = ""
    width_multiplier: float = 1.0
    pyramid: int = 256
    proposals: int = 512
    head: int = 1024
    mask: int = 256
    classes: int = len(CLASSES)


def convert(
    source: str,
    tensors: Mapping,
    path: str,
    sha256: str = "",
    *,
    sizes: Sizes | None = None,
) -> tuple[Weights, list[str], list[str]]:
    """Convert public weights to our layout.

    Args:
      source: one of SOURCES.
      tensors: from `cache.read_tensors`.
      path, sha256: of the file.
      sizes: by default the published ones.

    Returns:
      (weights, names of the tensors used, names of the others, which the network
      lacks).

    Raises:
      InputError: a tensor is missing, has another shape or is not finite.
    """
    (backbone, published), sizes = SOURCES[source], sizes or Sizes()
    left, used = dict(tensors), []

    def take(name: str, shape: Sequence[int]) -> np.ndarray:
        tensor = left.pop(name, None)
        if tensor is None or tensor.shape != tuple(shape):
            found = "is missing" if tensor is None else f"has shape {tensor.shape}"
            raise InputError(f"{path}: {name} {found}, expected shape {shape}")
        used.append(name)
        return tensor.astype(np.float32)

    converted = by_roles(take, source, sizes)
    classes = CLASSES if published.detector else ()
    weights = Weights(
        converted, source, sizes.backbone or backbone, classes, sha256, path
    )
    return weights, used, list(left)


def by_roles(take: Callable, source: str, sizes: Sizes) -> dict[str, np.ndarray]:
    """Return {role: array} of all that a source's network has, each by `take(name,
    shape)`.
    """
    name, published = SOURCES[source]
    layer: Callable = _keras_layer
    if published.file.endswith(".pth"):
        layer = _torch_layer
    backbone, tensors = BACKBONES[sizes.backbone or name], {}
    image = tf.keras.Input([64, 64, 3])
    options = {"convention": published.convention, "name": "backbone"}
    maps = backbone.build(image, sizes.width_multiplier, **options)
    for built in tf.keras.Model(image, maps).layers:
        if isinstance(built, ConvNorm):
            role = built.name[len("backbone_") :]
            convolution, norm = published.tensors(role)
            filled = layer(take, convolution, tuple(built.kernel.shape), norm)
            tensors.update(
                {f"backbone/{role}/{weight}": value for weight, value in filled.items()}
            )
    if published.detector:
        tensors.update(
            _matterport(take, sizes, [int(level.shape[-1]) for level in maps])
        )
    return tensors


def _torch_layer(take, convolution, kernel, norm):
    """Return a convolution and its norm of PyTorch, whose kernels are out, in,
    height, width.
    """
    height, width, channels, filters = kernel
    stored = take(f"{convolution}.weight", (filters, channels, height, width))
    tensors = {"kernel": stored.transpose(2, 3, 1, 0)}
    for name, theirs in zip(_NORMS, _TORCH_NORMS):
        tensors[name] = take(f"{norm}.{theirs}", (filters,))
    return tensors


def _keras_layer(take, layer, kernel, norm=None):
    """Return kernel and bias of a Keras layer, the bias folded into its norm where
    it has one.
    """
    tensors = {"kernel": take(f"{layer}/kernel", kernel)}
    filters = kernel[-1:]
    bias = take(f"{layer}/bias", filters)
    if norm is None:
        return {**tensors, "bias": bias}
    for name in _NORMS:
        keras = f"moving_{name}" if name in ("mean", "variance") else name
        tensors[name] = take(f"{norm}/{keras}", filters)
    tensors["mean"] -= bias
    return tensors


def _matterport(take, sizes, widths):
    """Return pyramid, proposal network and heads of a Mask R-CNN in matterport's
    layout.
    """
    tensors, classes = {}, sizes.classes + 1

    def layer(
        role: str, name: str, *kernel: int, norm: Any = None, change: Any = None
    ) -> None:
        for weight, value in _keras_layer(take, name, kernel, norm).items():
            value = change(value) if change else value
            # A matrix becomes the kernel of a 1x1 convolution.
            tensors[f"{role}/{weight}"] = (
                value[None, None] if value.ndim == 2 else value
            )

    def objectness(value: np.ndarray) -> np.ndarray:
        background, foreground = np.moveaxis(
            value.reshape(*value.shape[:-1], _ANCHORS, 2), -1, 0
        )
        return foreground - background

    for level, width in enumerate(widths, 2):
        layer(
            f"fpn/c{level}p{level}", f"fpn_c{level}p{level}", 1, 1, width, sizes.pyramid
        )
        layer(f"fpn/p{level}", f"fpn_p{level}", 3, 3, sizes.pyramid, sizes.pyramid)

    layer("rpn/conv", "rpn_conv_shared", 3, 3, sizes.pyramid, sizes.proposals)
    kernel = 1, 1, sizes.proposals, 2 * _ANCHORS
    layer("rpn/logits", "rpn_class_raw", *kernel, change=objectness)
    layer("rpn/deltas", "rpn_bbox_pred", 1, 1, sizes.proposals, 4 * _ANCHORS)

    for number, side, channels in ((1, 7, sizes.pyramid), (2, 1, sizes.head)):
        name, norm = f"mrcnn_class_conv{number}", f"mrcnn_class_bn{number}"
        layer(f"actor/fc{number}", name, side, side, channels, sizes.head, norm=norm)
    roll = functools.partial(np.roll, shift=-1, axis=-1)
    layer("actor/logits", "mrcnn_class_logits", sizes.head, classes, change=roll)
    layer(
        "actor/deltas",
        "mrcnn_bbox_fc",
        sizes.head,
        4 * classes,
        change=lambda x: x[..., 4:],
    )

    for number in range(1, 5):
        channels = sizes.pyramid if number == 1 else sizes.mask
        name, norm = f"mrcnn_mask_conv{number}", f"mrcnn_mask_bn{number}"
        layer(f"mask/conv{number}", name, 3, 3, channels, sizes.mask, norm=norm)
    layer("mask/deconv", "mrcnn_mask_deconv", 2, 2, sizes.mask, sizes.mask)
    layer(
        "mask/logits",
        "mrcnn_mask",
        1,
        1,
        sizes.mask,
        classes,
        change=lambda x: x[..., 1:],
    )
    return tensors
