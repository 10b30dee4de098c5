"""How long a suggested training and its predictions take on this machine."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.settings.config import Config, ModelConfig
from a2d_tf.data.preparation.motion_stream import BlockFunction, MotionStream
from a2d_tf.data.record_folder.manifest import NO_COUNTS, Manifest
from a2d_tf.model import backbones
from a2d_tf.model.network import Network
from a2d_tf.ops.motion_maps import BLOCK
from a2d_tf.training.step_timing import StepTimes, time_steps
from a2d_tf.training.suggestion.canvas_size import largest_size
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags, words_of
from a2d_tf.training.suggestion.suggestion_file import MeasuredTimes

_ANSWER = 0.5  # time of an answer to a frame, as a share of a clip's in a training step


def measure_steps(
    settings: Sequence[ReasonedFlags], manifest: Manifest, startup: float
) -> StepTimes:
    """Measure on this machine how long the steps of a suggested training take.

    Some steps are done with a network of random weights, which is then forgotten.

    Args:
      settings: the suggested settings, which describe a whole training.
      manifest: the manifest of the records to train on.
      startup: seconds that TensorFlow took to start; the result's `start` includes
        them, and the seconds to build the network.
    """
    start = time.monotonic()
    # A readout is not trained: no step computes it.
    config = Config.parse(words_of(settings)).with_settings(
        readout=False, action_backbone="", flow_histograms=False
    )
    network = Network(config.model, manifest.label_space, config.compute)
    built = time.monotonic() - start
    step_times = time_steps(network, manifest, config)
    return step_times._replace(start=startup + built + step_times.start)


def measure(
    settings: Sequence[ReasonedFlags], step_times: StepTimes, manifest: Manifest
) -> MeasuredTimes:
    """Return how long a training, an answer to a frame, and its motion maps take.

    The time of an answer is estimated as half of a training step per clip, which was
    measured on a CPU. The time of motion maps is measured, if the network reads any.

    Args:
      settings: the suggested settings, which describe a whole training.
      step_times: the result of `measure_steps` for these settings.
      manifest: the manifest of the records, which has the sizes of videos.
    """
    config = Config.parse(words_of(settings))
    motion = 0.0
    if config.model.action_backbone or config.model.flow_histograms:
        motion = _measure_motion(config.model, manifest)
    return MeasuredTimes(
        start=step_times.start,
        step=step_times.step,
        answer=_ANSWER * step_times.step / config.training.batch_size,
        motion=motion,
    )


def describe(
    settings: Sequence[ReasonedFlags], times: MeasuredTimes, manifest: Manifest
) -> str:
    """Describe in a sentence how long training, scores and prediction will take.

    The text has minutes of the training, of the scores of the test split, and of the
    prediction of 1000 frames, also with only every fifth frame answered. Motion maps
    are made of every frame, whether answered or not.

    Args:
      settings: the suggested settings, which describe a whole training.
      times: the result of `measure` for these settings.
      manifest: the manifest of the records, which has the number of test frames.
    """
    config = Config.parse(words_of(settings))
    test_frames = manifest.counts.get("test", NO_COUNTS)["records"]
    train_seconds = times.start + times.step * config.training.steps
    score_seconds = times.start + times.answer * test_frames
    answers = 1000 * (times.answer + times.motion)
    fewer_answers = "half of that"
    if times.motion:
        fewer_answers = f"{1000 * (times.answer / 2 + times.motion) / 60:.1f}"
    return (
        f"on this machine: about {train_seconds / 60:.1f} minutes of training"
        f" ({config.training.steps} steps),"
        f" {score_seconds / 60:.1f} of scores, and {answers / 60:.1f}"
        f" to predict each 1000 frames, or {fewer_answers} with --every=5: then a"
        " behaviour begins and ends at every fifth frame alone"
    )


def _measure_motion(model: ModelConfig, manifest: Manifest) -> float:
    """Measure the seconds that the motion maps of a frame of a video take.

    Random weights take as long as any.
    """
    block_function = None
    if model.action_backbone:
        block_function = _random_block_function(model.action_backbone)
    stream = MotionStream(block_function, model.flow_histograms)
    height, width = largest_size(manifest.native_sizes)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    for block in range(2):  # the first compiles
        start = time.monotonic()
        for i in range(BLOCK):
            stream.add(block * BLOCK + i, frames[i % 2])
    return (time.monotonic() - start) / BLOCK


def _random_block_function(action_backbone: str) -> BlockFunction:
    """Return the block function of an action backbone with random weights."""
    backbone = backbones.build_action_backbone(action_backbone)
    compute = tf.function(functools.partial(backbone, training=False))

    def block_function(frames: np.ndarray) -> dict[str, np.ndarray]:
        maps = compute(frames[None])
        return {name: values[0].numpy() for name, values in maps.items()}

    return block_function
