"""Make a file of random weights in a public file's layout, to rehearse what starts from
it.

  python tools/make_random_weights.py --source matterport --output mask_rcnn_coco.h5
  python tools/make_random_weights.py --source keras_resnet101 --output imagenet.h5

Names, shapes and size are those of the published file; activations of a network that
starts from it stay near 1. Such a network has learned nothing.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from a2d_tf.core import command_line
from a2d_tf.core.files import write_file

FLAGS = command_line.Register()
_SOURCE = FLAGS.define_enum(
    "source",
    None,
    ["matterport", "keras_resnet101"],
    "Whose layout: that of a Keras file.",
)
_OUTPUT = FLAGS.define_string("output", None, "The .h5 file to write.")

# What a stem is given: mean-free pixels, in the low hundreds.
_PIXELS = 64
# The scale of norms. Kernels as of He et al. keep the variance through a ReLU, and
# every residual block then adds to it: with a scale of 1 it would triple 33 times.
_GAMMA = (0.5, 0.7)


def random_tensor(
    name: str, shape: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Random numbers for one tensor: float32 of the shape."""
    weight = name.split("/")[-1]
    if weight == "kernel":
        deviation = (2 / np.prod(shape[:-1])) ** 0.5
        if shape[-2] == 3:
            deviation /= _PIXELS
        return deviation * rng.standard_normal(shape, np.float32)
    if weight == "gamma":
        return rng.uniform(*_GAMMA, shape).astype(np.float32)
    if weight == "moving_variance":
        return rng.uniform(0.9, 1.1, shape).astype(np.float32)
    return 0.1 * rng.standard_normal(shape, np.float32)


def dataset(name: str) -> str:
    """Where Keras puts a tensor called layer/weight in its file."""
    # Matterport's proposal network is a model of its own, which Keras keeps in one
    # group.
    group = "rpn_model" if name.startswith("rpn_") else name.split("/")[0]
    return f"{group}/{name}:0"


def write(path: str, shapes: dict[str, Sequence[int]]) -> None:
    """Write random tensors of {layer/weight: shape} as Keras lays out a model's
    weights.
    """
    rng = np.random.default_rng(0)

    def fill(file):
        with h5py.File(file.name, "w") as made:
            for name, shape in shapes.items():
                made[dataset(name)] = random_tensor(name, shape, rng)

    write_file(path, fill)


class Shapes(dict):
    """{name: shape} of the tensors that are taken from it, as from a source's file."""

    def take(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """Record a tensor's name and shape; return zeros."""
        self[name] = tuple(shape)
        return np.zeros(shape, np.float32)


def shapes(source: str, sizes: Any = None) -> Shapes:
    """Return the shapes of the tensors that a source's file must hold; sizes:
    `layouts.Sizes`.
    """
    from a2d_tf.pretrained import layouts

    found = Shapes()
    layouts.by_roles(found.take, source, sizes or layouts.Sizes())
    return found


def main(argv: list[str]) -> None:
    command_line.require(argv, source=_SOURCE.value, output=_OUTPUT.value)
    write(_OUTPUT.value, shapes(_SOURCE.value))
    print(f"{_OUTPUT.value}: random weights in the layout of {_SOURCE.value}")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
