"""Measure how this machine trains: seconds and memory of a step, hours of a run."""

from __future__ import annotations

import dataclasses
import statistics
import time

import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.training.replicas import for_device
from a2d_tf.training.train_step import TrainState, make_train_step

_STEPS = 5  # the first of which is apart


@dataclasses.dataclass(frozen=True)
class Steps:
    """Measurements of a few training steps.

    Attributes:
      batch: batch size of these steps.
      first: seconds of the first step, in which TensorFlow traces and a GPU may compile kernels.
      seconds: median of the later steps, without waiting for data.
      memory: peak bytes, see `devices.peak_memory`; None if unknown.
    """

    batch: int
    first: float
    seconds: float
    memory: int | None


def train(config: Config, manifest: Manifest) -> Steps:
    """Run a few training steps of a new network: a GPU computes a batch, a CPU a single clip.

    Raises:
      InputError: the batch does not fit the memory.
    """
    batch = config.learning.batch_size if devices.on_gpu() else 1
    learning = dataclasses.replace(config.learning, batch_size=batch)
    tf.keras.utils.set_random_seed(learning.seed)
    network = Network(config.model, manifest.label_space, config.compute)
    network.set_phase(learning.train_phase, learning.freeze_backbones)
    train_step = make_train_step(TrainState.create(network, learning), learning)
    dataset = pipeline.training(manifest, dataclasses.replace(config, learning=learning))
    inputs = list(dataset.map(for_device).take(_STEPS))

    def timed_step(number):
        start = time.perf_counter()
        float(train_step(inputs[number], number)["total"])
        return time.perf_counter() - start

    devices.forget_peak()
    try:
        first, *later = map(timed_step, range(_STEPS))
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            f"the memory does not hold a step of {batch} clips; lower --batch_size, or give "
            "--precision=mixed_bfloat16"
        ) from error
    return Steps(batch, first, statistics.median(later), devices.peak_memory())


def feed(config: Config, manifest: Manifest, seconds: float = 5.0) -> float:
    """Measure the clips per second of the input pipeline while nothing else computes."""
    stream = iter(pipeline.training(manifest, config))
    next(stream)  # fills the buffers
    start, clips = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(stream)
        clips += config.learning.batch_size
    return clips / (time.perf_counter() - start)


def report(config: Config, steps: Steps, rate: float) -> list[str]:
    """Return a line for each measurement, and one on the hours of a run without its validations.

    `rate` is the clips per second of the input.
    """
    learning = config.learning
    took = f"{1e3 * steps.seconds:.0f} ms, of {steps.batch} clips"
    memory = "" if steps.memory is None else f", {steps.memory / 2**30:.1f} GB at most"
    batch = learning.batch_size
    step = max(steps.seconds * batch / steps.batch, batch / rate)
    return [
        f"step: {took}; the first {steps.first:.0f} s{memory}",
        f"input: {rate:.0f} clips/s",
        f"a run: {learning.steps} steps of {batch} clips at {1e3 * step:.0f} ms take "
        f"{learning.steps * step / 3600:.1f} h, without validation",
    ]
