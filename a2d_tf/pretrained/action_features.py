"""An action backbone with its public weights, for records and training."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable

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
    """A function that computes an action backbone's features of consecutive frames.

    It is an object because it goes to other processes. Pickled, it holds no weights:
    each process builds the network at its first call.

    Attributes:
      backbone: a key of `backbones.ACTION_BACKBONES`.
      path: path of the imported weights; if it does not exist, as on another machine,
        the weights are read from the cache.
      sha256: checksum of the published file, hexadecimal.
    """

    backbone: str
    path: str
    sha256: str

    @classmethod
    def get(cls, backbone: str) -> ActionFeatures:
        """Return the function of an action backbone with its public weights.

        The weights are imported into the cache if they are not there.

        Args:
          backbone: a key of `backbones.ACTION_BACKBONES`, such as 'i3d'.

        Raises:
          InputError: the package with the weights is not installed, or the file's
            checksum differs from that of the published file.
        """
        path = str(cache.get(backbones.ACTION_BACKBONES[backbone].published.name))
        return cls(backbone, path, Weights.read(path).sha256)

    def __call__(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the feature maps of a block.

        Args:
          frames: RGB uint8 [T, h, w, 3]; h and w are multiples of 32.

        Returns:
          {name of a map: float32 [T / frames, h / stride, w / stride, C]};
          `ops.motion_maps` says how many frames and pixels a value covers.
        """
        maps = _network(self)(frames[None])
        return {name: values.numpy()[0] for name, values in maps.items()}


@functools.lru_cache(maxsize=1)
def _network(
    features: ActionFeatures,
) -> Callable[[np.ndarray], dict[str, tf.Tensor]]:
    path = features.path
    if not os.path.exists(path):
        path = ActionFeatures.get(features.backbone).path
    model = backbones.build_action_backbone(features.backbone)
    load(model, Weights.read(path))
    # One trace serves frames of all sizes.
    frames = tf.TensorSpec([1, None, None, None, 3], tf.uint8)
    return tf.function(model, input_signature=[frames])


def load(model: tf.keras.Model, weights: Weights) -> LoadReport:
    """Load weights into an action backbone.

    Args:
      model: an action backbone, as `backbones.build_action_backbone` builds it; its
        variables are assigned.
      weights: imported weights of the same backbone.

    Returns:
      the report, which names every variable of the model and every tensor.

    Raises:
      InputError: a tensor is missing or has another shape than its variable.
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
