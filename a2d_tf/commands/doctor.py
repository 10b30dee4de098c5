"""Check this machine in five minutes, and estimate the hours of a training run.

  a2d doctor --records=records --init_rgb=coco --init_flow=imagenet

Prints devices, memory and precision; the time and memory of a step; the clips per
second of the input pipeline; the hours of a whole run, with validation. Takes the flags
of a2d train, by default those of configs/a2d.flags. Give the weights to start from,
since they decide how RoIs are cropped and so the time of a step. It measures one GPU:
for --strategy=mirrored give it its part of a batch.
"""

from __future__ import annotations

import dataclasses
import platform
import time

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config, TrainingConfig
from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import Manifest

FLAGS = command_line.Register()
_RECORDS = FLAGS.define_string("records", None, "Folder written by a2d records.")
_DEVICE = Config.define_device(FLAGS)
Config.define_flags(FLAGS)
_FEED_SECONDS = 5.0


def train(config: Config, manifest: Manifest, on_gpu: bool) -> tuple[float, float, str]:
    """Run a few training steps of a new network, then validate it on a few training
    clips.

    A GPU computes a batch at a time, a CPU a single clip.

    Returns:
      (seconds a clip, as of `fit.time_steps`; seconds of a whole validation; a line on
      the step).

    Raises:
      InputError: the batch does not fit the memory.
    """
    import tensorflow as tf

    from a2d_tf.evaluation.evaluator import Evaluator
    from a2d_tf.model.network import Network
    from a2d_tf.training import fit

    batch = config.training.batch_size if on_gpu else 1
    training = dataclasses.replace(config.training, batch_size=batch)
    tf.keras.utils.set_random_seed(training.seed)
    network = Network(config.model, manifest.label_space, config.compute)
    measured = dataclasses.replace(config, training=training)
    try:
        first, later = fit.time_steps(network, manifest, measured)
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            f"out of memory in a step of {batch} clips; lower --batch_size, or use "
            "--precision=mixed_bfloat16"
        ) from error
    memory = ""
    if on_gpu:
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        memory = f", {peak / 2**30:.1f} GB at most"
    line = (
        f"step: {1e3 * later:.0f} ms for {batch} clips; first step {first:.0f}"
        f" s{memory}"
    )
    evaluator = Evaluator(network, measured, manifest)
    # one batch is scored while the next is computed
    count = 3 * training.evaluation_batch
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        evaluator.validate("train", most=count)
    frames = training.val_fraction * manifest.counts["train"]["records"]
    return later / batch, frames * (time.perf_counter() - start) / count, line


def feed(config: Config, manifest: Manifest) -> float:
    """Measure the clips per second of the input pipeline while nothing else
    computes.
    """
    from a2d_tf.data import pipeline

    stream = iter(pipeline.training(manifest, config))
    next(stream)  # fills the buffers
    start, clips = time.perf_counter(), 0
    while time.perf_counter() - start < _FEED_SECONDS:
        next(stream)
        clips += config.training.batch_size
    return clips / (time.perf_counter() - start)


def hours(
    training: TrainingConfig, seconds: float, rate: float, validation: float
) -> str:
    """Say how long a run takes, by the seconds of a clip, the input's clips/s, and
    validation's.
    """
    batch, count = training.batch_size, -(-training.steps // training.validate_every)
    step = batch * max(seconds, 1 / rate)
    total = training.steps * step + count * validation
    return (
        f"training: {training.steps} steps of {batch} clips at {1e3 * step:.0f} ms and"
        f" {count} validations of {validation:.0f} s take {total / 3600:.1f} h"
    )


def main(argv: list[str]) -> None:
    config = Config.from_flags(FLAGS)
    command_line.require(argv, records=_RECORDS.value)
    manifest = Manifest.load(_RECORDS.value)
    manifest.check_frames(config.model.frames)
    import tensorflow as tf

    from a2d_tf.training import run_start

    gpus = devices.prepare(_DEVICE.value, config.training.deterministic)
    config = run_start.resolve_config(config, Config.given(FLAGS, "model"))
    config = run_start.without_masks(config, manifest)
    devices.announce(gpus, config.compute.precision)
    versions = f"TensorFlow {tf.__version__}, Python {platform.python_version()}"
    cores, memory = devices.cores(), devices.memory()
    print(f"host: {cores} cores, {memory / 2**30:.0f} GB, {versions}", flush=True)
    seconds, validation, line = train(config, manifest, bool(gpus))
    print(line, flush=True)
    rate = feed(config, manifest)
    print(
        f"input: {rate:.0f} clips/s",
        hours(config.training, seconds, rate, validation),
        sep="\n",
    )


run = command_line.command(main, FLAGS)
