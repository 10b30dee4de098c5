"""What a backbone says of itself: how to build it, and which public weights there are for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from a2d_tf.model.conventions import Convention


@dataclasses.dataclass(frozen=True)
class Published:
    """A published file of weights.

    Attributes:
      name: of --init_rgb and --init_flow.
      source: who trained them; it names their layout and convention.
      convention: theirs.
      tensors: the role of a convolution -> the names of it and of its norm in the file. A role is
        the name of our layer without the backbone's prefix, such as c2_b0_conv1.
      unused: {pattern of tensors that have no place in the network: reason}.
      url: its address; of a file in a package, its name. A .pth is PyTorch's, others are Keras'.
      size: bytes.
      md5: of the file, hexadecimal.
      licence: as published.
      package: what pip installs the file with, NAME==VERSION; empty where it is downloaded.
      detector: whether it also holds a Mask R-CNN's pyramid and heads, in matterport's layout.
    """

    name: str
    source: str
    convention: Convention
    tensors: Callable[[str], tuple[str, str]]
    unused: Mapping[str, str]
    url: str
    size: int
    md5: str
    licence: str
    package: str = ""
    detector: bool = False

    @property
    def file(self) -> str:
        """The file's name, as published."""
        return self.url.rsplit("/", 1)[-1]


@dataclasses.dataclass(frozen=True)
class Backbone:
    """An entry of a module's BACKBONES.

    Attributes:
      build: (x float [N, H, W, 3], width multiplier, norm, *, convention, stem_norm, deviation,
        name) -> (maps C2..C5 at strides 4, 8, 16 and 32; the tensors between which training may
        recompute activations, in order, the maps among them). `stem_norm` is the stem's norm if
        another, `name` the prefix of the layers' names. `deviation` is the typical size of the
        input's values: a frozen norm does not normalise, so the stem divides by it.
      family: part of the prefix of its layers' names, as in rgb_resnet_stem.
      stem: channels of the stem at a width multiplier of 1.
      max_pooling: whether it has any, whose gradient XLA cannot compute deterministically.
      published: weights for it.
    """

    build: Callable
    family: str
    stem: int
    max_pooling: bool = False
    published: tuple[Published, ...] = ()
