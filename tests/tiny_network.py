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
LEARNING = TrainingConfig(
    batch_size=2,
    warmup_steps=0,
    roi_samples=16,
    train_proposals=30,
    rpn_samples=32,
    max_instances=4,
)
"""Small samples, of `labelled` clips."""

INFERENCE = InferenceConfig(
    test_proposals=30, proposals_before_nms=200, max_detections=8, score_threshold=0.2
)


def config(**override):
    """A ModelConfig of the smallest size; fields given override it."""
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
    """A Network on A2D's labels whose weights come from the seed."""
    tf.keras.utils.set_random_seed(seed)
    return Network(config(**override), A2D, ComputeConfig(precision))


def manifest(**changes):
    """Stand in for a manifest of records of this network, as a run folder needs it."""
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
    """Normal float32 of this shape."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def clip(batch, frames, seed=0):
    """Random rgb uint8 [B, T, H, W, 3] and flow float32 [B, T, H, W, 2]."""
    rng = np.random.default_rng(seed)
    return {
        "rgb": rng.integers(0, 256, (batch, frames, *CANVAS, 3), np.uint8),
        "flow": rng.normal(0, 3, (batch, frames, *CANVAS, 2)).astype(np.float32),
    }


def labelled(batch, frames=3, seed=0):
    """Random clips, each with two instances, in the form of `pipeline.training`.

    Instance 0 is a bird that flies, at [8, 8, 40, 56]; instance 1 a cat that runs, at
    [20, 40, 60, 88]; the last two rows are padding. Masks are the boxes.
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
    """The total loss of one batch, and its gradient as one vector."""
    variables = network.trainable_weights
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        terms, _ = forward.forward(network, labelled(2), tf.constant([0, 0]), training)
        total = forward.weighted(terms, training)["total"]
    parts = tape.gradient(total, variables, unconnected_gradients="zero")
    assert {part.dtype for part in parts} == {tf.float32}
    return float(total), np.concatenate([part.numpy().ravel() for part in parts])
