"""A file of imported weights.

The file holds tensors by role, in the network's layout (see `layouts`). Its attributes
say who trained the weights, which decides the convention, and for which backbone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import UNREADABLE, write_file
from a2d_tf.model import backbones
from a2d_tf.pretrained.tensor_files import read_datasets

_FORMAT = 2
_ATTRIBUTES = ("source", "backbone", "classes", "sha256")
_CHANNEL_FIELDS = {
    "fpn_channels": "fpn/p2",
    "rpn_channels": "rpn/conv",
    "head_units": "actor/fc2",
    "mask_channels": "mask/deconv",
}
"""{field of ModelConfig: the layer whose output channels it counts}."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """Imported weights: tensors in the network's layout, and where they come from.

    Attributes:
      tensors: {role: array}, such as `backbone/c2_b0_conv1/kernel`, see `layouts`.
      source: who trained the weights, such as matterport. Unless they are those of an
        action backbone, it is a key of `backbones.CONVENTIONS`.
      backbone: a key of `backbones.BACKBONES` or `backbones.ACTION_BACKBONES`.
      classes: names of the detector's classes, without background; empty if the weights
        are of a backbone alone.
      sha256: checksum of the published file, hexadecimal.
      path: path of this file, for messages.
    """

    tensors: dict[str, np.ndarray]
    source: str
    backbone: str
    classes: tuple[str, ...]
    sha256: str
    path: str

    def model_fields(self, stream: str = "rgb") -> dict:
        """Return the settings that a network needs to take these weights.

        They are the weight convention, the backbone, the numbers of channels and, for a
        detector's weights in the stream 'rgb', the anchor sizes.

        Args:
          stream: the stream that the weights are for, 'rgb' or 'flow'.

        Returns:
          {name of a field of `ModelConfig`: value}.
        """
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
        for field, layer in _CHANNEL_FIELDS.items():
            kernel = self.tensors.get(f"{layer}/kernel")
            if kernel is not None:
                fields[field] = kernel.shape[-1]
        if "mask_channels" in fields:
            fields["mask_layers"] = self._count_mask_layers()
        return fields

    def _count_mask_layers(self) -> int:
        layers = set()
        for role in self.tensors:
            if role.startswith("mask/conv"):
                layers.add(role.split("/")[1])
        return len(layers)

    @functools.cached_property
    def parts(self) -> set[str]:
        """The parts of a network that the tensors are for.

        They are among backbone, fpn, rpn, actor, mask and logits, the first words of
        roles.
        """
        return {role.split("/")[0] for role in self.tensors}

    @property
    def anchors(self) -> tuple[float, ...]:
        """Sizes in pixels of the proposal network's anchors, one for each of P2 to P6.

        Empty if the weights have no proposal network. Weights of an action backbone do
        not have this property.
        """
        return backbones.CONVENTIONS[self.source].anchors or ()

    def write(self, path: str | os.PathLike) -> None:
        """Write the weights as a HDF5 file, atomically.

        Args:
          path: path of the file; an existing one is replaced.
        """

        def fill(file: BinaryIO) -> None:
            with h5py.File(file.name, "w") as output:
                output.attrs["format"] = json.dumps(_FORMAT)
                for name in _ATTRIBUTES:
                    output.attrs[name] = json.dumps(getattr(self, name))
                for role, tensor in self.tensors.items():
                    output.create_dataset(role, data=tensor)

        write_file(path, fill)

    @classmethod
    def read(cls, path: str) -> Weights:
        """Read a file that `write` has written.

        Args:
          path: path of the file.

        Raises:
          InputError: there is no such file, it is damaged, or it holds other things.
        """
        with _opened(path) as file:
            attributes = _attributes(file)
            attributes["classes"] = tuple(attributes["classes"])
            return cls(tensors=read_datasets(file), path=path, **attributes)


def read_source(path: str) -> str:
    """Return who trained the weights of a file, without reading the tensors.

    Args:
      path: path of a file of imported weights.

    Returns:
      the source, such as 'matterport', a key of `layouts.SOURCES`.

    Raises:
      InputError: the file does not exist, is damaged or holds something else.
    """
    with _opened(path) as file:
        return _attributes(file)["source"]


@contextlib.contextmanager
def _opened(path: str) -> Iterator[h5py.File]:
    """Open a file; turn errors of the `with` block's reading into InputError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not a file of imported weights, or corrupt ({error}); use "
            f"{', '.join(backbones.PUBLISHED)}, or a new file of a2d weights"
        ) from error


def _attributes(file: h5py.File) -> dict[str, Any]:
    """Return {name in _ATTRIBUTES: value} of a file."""
    attributes = {}
    for name, value in file.attrs.items():
        attributes[name] = json.loads(value)
    if attributes.pop("format") != _FORMAT:
        raise ValueError("unsupported version")
    return attributes
