"""A file of imported weights.

It holds tensors that are named by their roles, in the network's layout (see `layouts`),
and the source of the weights, which names their convention.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from typing import BinaryIO

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
    """Imported weights.

    Attributes:
      tensors: {role: array}.
      source: who trained them; it names their convention, of `backbones.CONVENTIONS`
        but for an action backbone.
      backbone: of `backbones.BACKBONES` or `backbones.ACTION_BACKBONES`.
      classes: names of the detector's classes, without background; empty for a
        backbone.
      sha256: of the file that they were imported from.
      path: their file, for messages.
    """

    tensors: dict[str, np.ndarray]
    source: str
    backbone: str
    classes: tuple[str, ...]
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
        for field, layer in _CHANNEL_FIELDS.items():
            kernel = self.tensors.get(f"{layer}/kernel")
            if kernel is not None:
                fields[field] = kernel.shape[-1]
        if "mask_channels" in fields:
            fields["mask_layers"] = self._count_mask_layers()
        return fields

    def _count_mask_layers(self):
        layers = set()
        for role in self.tensors:
            if role.startswith("mask/conv"):
                layers.add(role.split("/")[1])
        return len(layers)

    @property
    def anchors(self) -> tuple[float, ...]:
        """Sizes of the proposal network's anchors, one a level; empty without one."""
        return backbones.CONVENTIONS[self.source].anchors or ()

    def write(self, path: str | os.PathLike) -> None:
        """Write the file atomically."""

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
        """Read a file.

        Raises:
          InputError: there is no such file, it is damaged, or it holds other things.
        """
        with _opened(path) as file:
            attributes = _attributes(file)
            attributes["classes"] = tuple(attributes["classes"])
            return cls(tensors=read_datasets(file), path=path, **attributes)


def read_source(path: str) -> str:
    """Read who trained the weights of a file, without these; errors as of `read`."""
    with _opened(path) as file:
        return _attributes(file)["source"]


@contextlib.contextmanager
def _opened(path):
    """Open a file; an error in reading it becomes an InputError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not a file of imported weights, or corrupt ({error}); use "
            f"{', '.join(backbones.PUBLISHED)}, or a new file of a2d weights"
        ) from error


def _attributes(file):
    """Return what a file says of its tensors, by the names in _ATTRIBUTES."""
    attributes = {}
    for name, value in file.attrs.items():
        attributes[name] = json.loads(value)
    if attributes.pop("format") != _FORMAT:
        raise ValueError("unsupported version")
    return attributes
