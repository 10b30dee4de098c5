"""What the suites measure: settings, training steps, their work, random clips."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from a2d_tf.core.settings.config import Config, ModelConfig, TrainingConfig
from a2d_tf.model.network import Network
from a2d_tf.training.step.train_step import Step, TrainState, make_train_step
from tools.benchmarks.processes import ROOT

TINY = ROOT / "tools" / "tiny.flags"
"""Flags of the smallest network."""


def read(name: str, small: bool = False) -> Config:
    """Read the settings of configs/NAME.flags.

    Args:
      name: NAME.
      small: whether to give the network its smallest size.
    """
    words = [f"--flagfile={ROOT}/configs/{name}.flags"]
    if small:
        words.append(f"--flagfile={TINY}")
    return Config.parse(words)


def make_step(network: Network, training: TrainingConfig) -> Step:
    """Return the compiled training step of a network.

    Args:
      network: the network to train.
      training: settings of the training.
    """
    return make_train_step(TrainState.create(network, training), training)


def batch(model: ModelConfig, count: int, instances: int = 3) -> dict[str, tf.Tensor]:
    """Draw a batch of random clips with truth, in the form of `pipeline.training`.

    Args:
      model: settings of the network, which give the sizes.
      count: number of clips.
      instances: number of instances in each clip; masks fill their boxes.

    Returns:
      {name of a field: tensor}.
    """
    length, height, width = model.frames, model.image_height, model.image_width
    rng = np.random.default_rng(0)
    sides = rng.uniform(1 / 8, 1 / 2, (count, instances, 2)) * (height, width)
    corners = rng.uniform(0, 1, sides.shape) * ((height, width) - sides)
    boxes = np.concatenate([corners, corners + sides], axis=-1)
    masks = np.zeros((count, instances, height, width), np.uint8)
    for mask, box in zip(masks.reshape(-1, height, width), boxes.reshape(-1, 4)):
        y1, x1, y2, x2 = np.round(box).astype(int)
        mask[y1:y2, x1:x2] = 1
    fields = {
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
    return {name: tf.constant(value) for name, value in fields.items()}


def points(
    run: pathlib.Path,
) -> Iterator[tuple[str, str, int, tf.compat.v1.TensorProto]]:
    """Yield the points for TensorBoard in a run's folder.

    Args:
      run: path of the folder.

    Yields:
      (writer, tag, step, value) each.
    """
    for path in sorted(run.rglob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                yield path.parent.name, value.tag, event.step, value.tensor


def gflop(network: Network, rois: int, masks: int) -> float:
    """Return the GFLOP of the forward pass of a clip.

    Args:
      network: the network.
      rois: number of RoIs in the actor and action heads.
      masks: number of RoIs in the mask head.
    """
    calls = {
        "backbones": network.model_config.frames,
        "roi_heads": rois,
        "mask_head": masks,
    }
    total = 0.0
    for name, part in network.parts().items():
        total += calls.get(name, 1) * model_gflop(part)
    return total


def model_gflop(model: tf.keras.Model) -> float:
    """Return the GFLOP of a Keras model; TensorFlow's profiler counts them.

    Each size that the model leaves open counts as 1.
    """

    def spec(x):
        return tf.TensorSpec([size or 1 for size in x.shape], x.dtype)

    signature = tf.nest.map_structure(spec, model.input)
    graph = tf.function(lambda x: model(x)).get_concrete_function(signature).graph
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / 1e9
