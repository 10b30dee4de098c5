"""Make a file of random weights in the layout of a public file.

It rehearses what starts from public weights:

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

from a2d_tf.core.command import command_line
from a2d_tf.core.files import write_file

FLAGS = command_line.Register()
_SOURCE = FLAGS.define_enum(
    "source",
    None,
    ["matterport", "keras_resnet101"],
    "The published Keras file that has the layout.",
)
_OUTPUT = FLAGS.define_string("output", None, "The .h5 file to write.")

# The deviation of a stem's input: mean-free pixels, in the low hundreds.
_PIXEL_DEVIATION = 64
# Bounds of the scale of norms. Kernels by He et al. keep the variance through a ReLU,
# and every residual block then adds to it: with a scale of 1 it would triple 33 times.
_GAMMA = (0.5, 0.7)


def random_tensor(
    name: str, shape: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    """Draw one tensor of random weights, float32.

    Args:
      name: name of the tensor, LAYER/WEIGHT; the weight tells the distribution.
      shape: shape of the tensor.
      rng: NumPy's random generator.
    """
    weight = name.split("/")[-1]
    if weight == "kernel":
        deviation = (2 / np.prod(shape[:-1])) ** 0.5
        if shape[-2] == 3:  # a stem, which sees pixels
            deviation /= _PIXEL_DEVIATION
        return deviation * rng.standard_normal(shape, np.float32)
    if weight == "gamma":
        return rng.uniform(*_GAMMA, shape).astype(np.float32)
    if weight == "moving_variance":
        return rng.uniform(0.9, 1.1, shape).astype(np.float32)
    return 0.1 * rng.standard_normal(shape, np.float32)


def dataset(name: str) -> str:
    """Return the path of a tensor in a file in which Keras keeps weights.

    Args:
      name: name of the tensor, LAYER/WEIGHT.
    """
    group = name.split("/")[0]
    if name.startswith("rpn_"):
        # Matterport's proposal network is a model of its own: one group for Keras.
        group = "rpn_model"
    return f"{group}/{name}:0"


def write(path: str, shapes: dict[str, Sequence[int]]) -> None:
    """Write random tensors as Keras lays out the weights of a model.

    Args:
      path: path of the .h5 file.
      shapes: {name of a tensor, LAYER/WEIGHT: its shape}.
    """
    rng = np.random.default_rng(0)

    def fill(file):
        with h5py.File(file.name, "w") as weights:
            for name, shape in shapes.items():
                weights[dataset(name)] = random_tensor(name, shape, rng)

    write_file(path, fill)


class Shapes(dict):
    """A stand-in for a file of weights, which records what is read from it.

    It is the dictionary {name of a tensor: its shape}.
    """

    def read(self, name: str, shape: Sequence[int]) -> np.ndarray:
        """Record the name and the shape of a tensor; return zeros of that shape."""
        self[name] = tuple(shape)
        return np.zeros(shape, np.float32)


def shapes(source: str, sizes: Any = None) -> Shapes:
    """Return the shapes of the tensors that the published file of a source has.

    Args:
      source: a value of --source.
      sizes: `layouts.Sizes`, for a smaller network; None for that of the published
        file.

    Returns:
      {name of a tensor, LAYER/WEIGHT: its shape}.
    """
    from a2d_tf.pretrained import layouts

    recorded = Shapes()
    layouts.convert_tensors(recorded.read, source, sizes or layouts.Sizes())
    return recorded


def main(argv: list[str]) -> None:
    """Write the file that the flags ask for.

    Args:
      argv: the program's name; any other word that is no flag is an error.
    """
    command_line.require(argv, source=_SOURCE.value, output=_OUTPUT.value)
    write(_OUTPUT.value, shapes(_SOURCE.value))
    print(f"{_OUTPUT.value}: random weights in the layout of {_SOURCE.value}")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
