"""Features of an action backbone with its public weights, for records and training."""

from __future__ import annotations

import dataclasses
import functools
import os

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.model import backbones
from a2d_tf.pretrained import cache
from a2d_tf.pretrained.load_report import LoadReport
from a2d_tf.pretrained.named_variables import variables_of
from a2d_tf.pretrained.weights_file import Weights


@dataclasses.dataclass(frozen=True)
class ActionFeatures:
    """A block function: the features of an action backbone with its public weights.

    It pickles small. Each process builds the network at its first block.

    Attributes:
      backbone: a name in `backbones.ACTION_BACKBONES`.
      path: of its imported weights; on another machine, those of its cache are read.
      sha256: of the published file.
    """

    backbone: str
    path: str
    sha256: str

    @classmethod
    def get(cls, backbone: str) -> ActionFeatures:
        """Return the features with the weights of the cache; import them if needed.

        Raises:
          InputError: the weights' package is not installed, or their file differs from
            the published one.
        """
        path = str(cache.get(backbones.ACTION_BACKBONES[backbone].published.name))
        return cls(backbone, path, Weights.read(path).sha256)

    def __call__(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the maps of a block.

        Args:
          frames: RGB uint8 [T, h, w, 3], h and w multiples of 32.

        Returns:
          {name: float32 [T / frames, h / stride, w / stride, C]}, the maps of the
          backbone in `motion_maps`.
        """
        maps = _network(self)(frames[None])
        return {name: values.numpy()[0] for name, values in maps.items()}


@functools.lru_cache(maxsize=1)
def _network(features: ActionFeatures):
    path = features.path
    if not os.path.exists(path):
        path = ActionFeatures.get(features.backbone).path
    model = backbones.build_action_backbone(features.backbone)
    load(model, Weights.read(path))
    # One trace for all sizes of frames.
    frames = tf.TensorSpec([1, None, None, None, 3], tf.uint8)
    return tf.function(model, input_signature=[frames])


def load(model: tf.keras.Model, weights: Weights) -> LoadReport:
    """Fill an action backbone; account for all its variables and for all tensors.

    Args:
      model: of `backbones.build_action_backbone`, such as that of a network.
      weights: of its file.

    Raises:
      InputError: a tensor is missing or has another shape.
    """
    entry = backbones.ACTION_BACKBONES[weights.backbone]
    loaded = {}
    skipped = dict.fromkeys(weights.tensors, "not used by the network")
    for name, variable in variables_of(model).items():
        key = f"backbone/{name[len(entry.prefix) :]}"
        tensor = weights.tensors.get(key)
        if tensor is None or tensor.shape != variable.shape:
            raise InputError(
                f"{weights.path}: {key} is missing or misshapen; remove the file"
                f" and run a2d weights {entry.published.name}"
            )
        variable.assign(tensor)
        loaded[name] = key
        del skipped[key]
    origin = f"{weights.path}: {weights.source}, sha256 {weights.sha256}, for actions"
    return LoadReport(origin, loaded, {}, skipped)
