"""What the suites that train share: configurations, the step, its data, its work."""

from __future__ import annotations

import dataclasses
import pathlib

import tensorflow as tf

from a2d_tf.core.config import Config, LearningConfig, ModelConfig
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.training.train_step import Step, TrainState, make_train_step
from tools.benchmarks import measure

_CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
_SMALLEST = dict(
    image_height=64,
    image_width=96,
    backbone="resnet14",
    width_multiplier=0.125,
    fpn_channels=16,
    rpn_channels=16,
    head_units=16,
    mask_channels=16,
)


def smallest(model: ModelConfig) -> ModelConfig:
    """A ModelConfig with the same parts, of the smallest size: for runs that show it works."""
    return dataclasses.replace(model, **_SMALLEST)


def read(name: str, small: bool = False) -> Config:
    """The Config of configs/<name>.flags, or its smallest likeness."""
    config = Config.read(_CONFIGS / f"{name}.flags")
    return dataclasses.replace(config, model=smallest(config.model)) if small else config


def make_step(
    network: Network, learning: LearningConfig
) -> tuple[tf.keras.optimizers.Optimizer, Step]:
    """(optimizer, compiled training step) of a LearningConfig."""
    state = TrainState.create(network, learning)
    return state.optimizer, make_train_step(state, learning)


def batches(
    manifest: Manifest,
    config: Config,
    canvas: tuple[int, int] | None = None,
    frames: int = 3,
) -> tf.data.Dataset:
    """Training batches of a Config, no video held out; of another canvas and length, if given."""
    model = config.model
    if canvas:
        layers = (frames - 1) // 2
        model = dataclasses.replace(
            model, image_height=canvas[0], image_width=canvas[1], temporal_layers=layers
        )
    everything = dataclasses.replace(config.learning, val_fraction=0.0)
    return pipeline.training(
        manifest, dataclasses.replace(config, model=model, learning=everything)
    )


def gflop(network: Network, rois: int, masks: int) -> dict[str, float]:
    """{part: GFLOP} of a clip's forward pass, by how many RoIs and masks pass the heads."""
    parts = {name: measure.gflop(part) for name, part in network.parts().items()}
    parts["towers"] *= network.model_config.frames
    parts["roi_heads"] *= rois
    if "mask_head" in parts:
        parts["mask_head"] *= masks
    return parts
