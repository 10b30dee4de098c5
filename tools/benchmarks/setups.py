"""Setups of the suites: configurations, the training step and its work, random clips."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config, TrainingConfig
from a2d_tf.data import convert, pipeline
from a2d_tf.data import mini as synthetic
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Release
from a2d_tf.model import targets
from a2d_tf.model.network import Network
from a2d_tf.training.train_step import Step, TrainState, make_train_step
from tools.benchmarks import measure

DETECTIONS = 100  # of a learner in a frame, at most
SCORE, NMS = 0.05, 0.5  # torchvision's defaults


@dataclasses.dataclass(frozen=True)
class Instances:
    """A frame's instances, found or true.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2 in pixels of the canvas.
      actors: int [N], 0-based; scores: float [N].
      masks: bool [N, H, W].
    """

    boxes: np.ndarray
    actors: np.ndarray
    scores: np.ndarray
    masks: np.ndarray


ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALLEST = dict(
    image_height=64,
    image_width=96,
    backbone="resnet14",
    width_multiplier=0.125,
    use_flow=False,
    fpn_channels=16,
    rpn_channels=16,
    head_units=16,
    mask_channels=16,
)


def read(name: str, small: bool = False) -> Config:
    """Read configs/<name>.flags; with `small` the network has its smallest size."""
    config = Config.read(ROOT / "configs" / f"{name}.flags")
    model = dataclasses.replace(config.model, **SMALLEST) if small else config.model
    return dataclasses.replace(config, model=model)


def make_step(network: Network, training: TrainingConfig) -> Step:
    """Return the compiled training step of a TrainingConfig."""
    return make_train_step(TrainState.create(network, training), training)


def records(folder: pathlib.Path, videos: int, workers: int, **settings: int) -> Manifest:
    """Make records of a drawn A2D in a folder; `settings` are fields of ConversionSettings."""
    release = synthetic.make_release(folder, videos, seed=0, workers=workers)
    sizes = convert.ConversionSettings(**settings)
    return convert.convert(Release(release), folder / "records", sizes, workers)[0]


def batches(manifest: Manifest, config: Config) -> tf.data.Dataset:
    """Return the training batches of a Config, no video held out."""
    everything = dataclasses.replace(config.training, val_fraction=0.0)
    return pipeline.training(manifest, dataclasses.replace(config, training=everything))


def clips(
    count: int, length: int, height: int, width: int, *, instances: int
) -> dict[str, tf.Tensor]:
    """Draw clips with truth, in the form of `batches`; masks fill their boxes."""
    rng = np.random.default_rng(0)
    sides = rng.uniform(1 / 8, 1 / 2, (count, instances, 2)) * (height, width)
    corners = rng.uniform(0, 1, sides.shape) * ((height, width) - sides)
    boxes = np.concatenate([corners, corners + sides], axis=-1)
    masks = np.zeros((count, instances, height, width), np.uint8)
    for mask, box in zip(masks.reshape(-1, height, width), boxes.reshape(-1, 4)):
        y1, x1, y2, x2 = np.round(box).astype(int)
        mask[y1:y2, x1:x2] = 1
    made = {
        "rgb": rng.integers(0, 256, (count, length, height, width, 3), np.uint8),
        "flow": np.float32(rng.normal(0, 2, (count, length, height, width, 2))),
        "size": np.tile(np.int32([height, width]), (count, 1)),
        "boxes": np.float32(boxes),
        "masks": masks,
        "actors": np.tile(np.arange(instances, dtype=np.int32) % 7, (count, 1)),
        "actions": np.zeros((count, instances), np.int32),
        "present": np.ones((count, instances), bool),
        "has_mask": np.ones((count, instances), bool),
        "annotated": np.ones(count, bool),
        "row": np.arange(count, dtype=np.int32),
    }
    return {name: tf.constant(value) for name, value in made.items()}


def gflop(network: Network, rois: int, masks: int) -> float:
    """Return the GFLOP of a clip's forward pass, by the RoIs and masks that pass the heads."""
    work = {name: measure.gflop(part) for name, part in network.parts().items()}
    often = {"backbones": network.model_config.frames, "roi_heads": rois, "mask_head": masks}
    return sum(often.get(name, 1) * gflop for name, gflop in work.items())


def step_gflop(network: Network, training: TrainingConfig) -> float:
    """Return the GFLOP of a training step: its gradients take twice the forward pass."""
    rois = training.roi_samples
    masks = targets.most_positives(training.roi_samples, training.positive_fraction)
    return 3 * training.batch_size * gflop(network, rois, masks)
