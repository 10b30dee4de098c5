"""A network small enough to build in a second, and clips for it."""

import types

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import A2D
from a2d_tf.core.settings.config import (
    ComputeConfig,
    InferenceConfig,
    ModelConfig,
    TrainingConfig,
)
from a2d_tf.model.network import Network
from a2d_tf.training.step import forward

CANVAS = (64, 96)
"""The (height, width) of its canvas, in pixels."""
LEARNING = TrainingConfig(
    batch_size=2,
    warmup_steps=0,
    roi_samples=16,
    train_proposals=30,
    rpn_samples=32,
    max_instances=4,
)
"""The settings of a training with small samples, for `labelled` clips."""

INFERENCE = InferenceConfig(
    test_proposals=30, proposals_before_nms=200, max_detections=8, score_threshold=0.2
)
"""The settings of inference with few proposals."""


def config(**override):
    """Return the settings of a network of the smallest size.

    Args:
      **override: fields of `ModelConfig` that differ.
    """
    fields = dict(
        image_height=CANVAS[0],
        image_width=CANVAS[1],
        backbone="resnet14",
        width_multiplier=0.125,
        norm="none",
        flow_norm="same",
        stride_in_1x1=False,
        pixel_scale=1 / 64,
        flow_scale=0.5,
        fpn_channels=16,
        rpn_channels=16,
        head_units=32,
        mask_channels=16,
        mask_layers=1,
        anchor_sizes="8,16,24,32,48",
    )
    return ModelConfig(**{**fields, **override})


def make(seed=0, precision="float32", **override):
    """Build a network of the smallest size on A2D's labels.

    Args:
      seed: seed of its random weights.
      precision: value of --precision.
      **override: fields of `ModelConfig` that differ.
    """
    tf.keras.utils.set_random_seed(seed)
    return Network(config(**override), A2D, ComputeConfig(precision))


def manifest(**changes):
    """Return a stand-in for the manifest of records, as a run folder needs it.

    Args:
      **changes: attributes that differ.
    """
    facts = dict(
        flow_method="dis",
        image_height=64,
        image_width=96,
        clip_stride=1,
        source="a",
        videos=lambda split: {"v"},
        label_space=A2D,
        directory="RECORDS",
        motion=None,
        bout_seconds={},
    )
    return types.SimpleNamespace(**{**facts, **changes})


def normal(*shape, seed=0):
    """Return float32 numbers of a shape, drawn from the normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def clip(batch, frames, seed=0):
    """Return random clips: {"rgb": [B, T, H, W, 3], "flow": [B, T, H, W, 2]}.

    RGB is uint8, flow float32 in pixels.

    Args:
      batch: number B of the clips.
      frames: number T of the frames of a clip.
      seed: seed of the values.
    """
    rng = np.random.default_rng(seed)
    return {
        "rgb": rng.integers(0, 256, (batch, frames, *CANVAS, 3), np.uint8),
        "flow": rng.normal(0, 3, (batch, frames, *CANVAS, 2)).astype(np.float32),
    }


def labelled(batch, frames=3, seed=0):
    """Return random clips, each with two instances, in the form of `pipeline.training`.

    Instance 0 is a bird that flies, at box (8, 8, 40, 56); instance 1 a cat that runs,
    at (20, 40, 60, 88); the last two rows are padding. Masks are the boxes.

    Args:
      batch: number of the clips.
      frames: number of the frames of a clip.
      seed: seed of the pixels and the flow.

    Returns:
      {name of a field: tensor}.
    """
    boxes = np.zeros((batch, 4, 4), np.float32)
    boxes[:, 0] = [8, 8, 40, 56]
    boxes[:, 1] = [20, 40, 60, 88]
    masks = np.zeros((batch, 4, *CANVAS), np.uint8)
    masks[:, 0, 8:40, 8:56] = 1
    masks[:, 1, 20:60, 40:88] = 1
    made = dict(
        clip(batch, frames, seed),
        size=np.tile(np.int32(CANVAS), (batch, 1)),
        boxes=boxes,
        masks=masks,
        actors=np.tile(np.int32([3, 5, -1, -1]), (batch, 1)),
        actions=np.tile(np.int32([3, 6, -1, -1]), (batch, 1)),
        present=np.tile([True, True, False, False], (batch, 1)),
        has_mask=np.tile([True, True, False, False], (batch, 1)),
        annotated=np.ones(batch, bool),
        row=np.arange(batch, dtype=np.int32),
    )
    return {name: tf.constant(value) for name, value in made.items()}


def gradients(network, training):
    """Return the total loss of one batch, and its gradient as one vector.

    Args:
      network: the network, as `make` builds it.
      training: the settings of the training.
    """
    variables = network.trainable_weights
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        terms, _ = forward.forward(network, labelled(2), tf.constant([0, 0]), training)
        total = forward.weighted(terms, training)["total"]
    parts = tape.gradient(total, variables, unconnected_gradients="zero")
    assert {part.dtype for part in parts} == {tf.float32}
    return float(total), np.concatenate([part.numpy().ravel() for part in parts])
