"""Joint actor-action semantic segmentation in video (Ji et al., ECCV 2018).

The names in `__all__` are the public Python API; docs/api.md shows how to use them.
Importing the package is fast: TensorFlow is loaded with the first use of a name that
needs it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    import tensorflow as tf

    from a2d_tf.core.errors import InputError
    from a2d_tf.core.labels import A2D, LabelSpace
    from a2d_tf.core.settings.config import Config
    from a2d_tf.evaluation import scoring as metrics
    from a2d_tf.model.inference import infer
    from a2d_tf.model.network import Network
    from a2d_tf.video.predictors.predictor import Predictor

__all__ = ["A2D", "Config", "InputError", "LabelSpace", "Predictor"]
__all__ += ["build_network", "dataset", "infer", "metrics"]

__version__ = "0.2.0.dev0"

if not importlib.util.find_spec("absl"):
    _problem = (
        f"{sys.executable} lacks the dependencies of a2d_tf; in a new terminal, run:"
        " source tools/setup.sh"
    )
    if sys.argv[:1] == ["-m"]:  # as Python has it while it looks for a module to run
        sys.exit(f"error: {_problem}")
    raise ImportError(_problem)
# After TensorFlow 2.15 `tf.keras` is Keras 3, unless this is set before its first use;
# the code is for Keras 2, which there is the package tf-keras.
if importlib.util.find_spec("tf_keras"):
    os.environ["TF_USE_LEGACY_KERAS"] = "1"

_MODULES = {
    "A2D": "a2d_tf.core.labels",
    "Config": "a2d_tf.core.settings.config",
    "InputError": "a2d_tf.core.errors",
    "LabelSpace": "a2d_tf.core.labels",
    "Predictor": "a2d_tf.video.predictors.predictor",
    "infer": "a2d_tf.model.inference",
    "metrics": "a2d_tf.evaluation.scoring",
}
_Settings = Union["Config", str, "os.PathLike[str]"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'a2d_tf' has no attribute '{name}'")
    module = importlib.import_module(_MODULES[name])
    return module if name == "metrics" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def build_network(settings: _Settings, labels: LabelSpace | None = None) -> Network:
    """Build the network of some settings, with random weights.

    Args:
      settings: a Config, or the path of a flagfile; `configs/NAME` is found from any
        folder.
      labels: the actors and actions; by default those of A2D.

    Raises:
      InputError: no such flagfile, or settings that contradict each other.
    """
    from a2d_tf.core.labels import A2D
    from a2d_tf.model.network import Network

    config = _config(settings)
    return Network(config.model, labels or A2D, config.compute)


def dataset(
    records: str | os.PathLike[str], settings: _Settings, split: str = "train"
) -> tf.data.Dataset:
    """Read clips from a folder of records, in batches of `Config.training.batch_size`.

    Args:
      records: the folder; `a2d records` makes one of A2D or of your own videos.
      settings: a Config, or the path of a flagfile: canvas, frames of a clip, batch
        size, seed, augmentation.
      split: "train" (without the videos held out for validation), endless, shuffled and
        augmented; "val" or "test", each clip once, in the order of the records.

    Returns:
      a dataset of dicts: rgb uint8 [B, T, H, W, 3]; flow float32 [B, T, H, W, 2], (u,
      v) in pixels; size int32 [B, 2], height and width of the frame inside the canvas;
      boxes float32 [B, N, 4], y1, x1, y2, x2; masks uint8 [B, N, H, W]; actors and
      actions int32 [B, N], 0-based; present bool [B, N], which of the N rows hold an
      instance; has_mask bool [B, N], which of these has a mask; `annotated` bool [B];
      `video`, `frame` and `native_size` of the key frame; and `row`, the place in the
      batch that random draws go by.

    Raises:
      InputError: no records there, an unknown split, clips that are too short, or no
        record to train on. "val" is empty where `val_fraction` holds no video out.
    """
    from a2d_tf.data.batches import pipeline
    from a2d_tf.data.record_folder.manifest import Manifest

    config = _config(settings)
    manifest = Manifest.load(records)
    if split == "train":
        return pipeline.training(manifest, config)
    return pipeline.evaluation(manifest, split, config, config.training.batch_size)


def _config(settings: _Settings) -> Config:
    from a2d_tf.core.command import flagfiles
    from a2d_tf.core.settings.config import Config

    if isinstance(settings, Config):
        return settings
    return Config.read(flagfiles.find(os.fspath(settings)))
