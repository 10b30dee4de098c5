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
import math
import platform
import time
from typing import TYPE_CHECKING

from a2d_tf.core.command import command_flags, command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import devices
from a2d_tf.core.settings.config import Config, TrainingConfig
from a2d_tf.data.record_folder import deviations
from a2d_tf.data.record_folder.manifest import Manifest

if TYPE_CHECKING:
    from a2d_tf.evaluation.evaluator import Evaluator
    from a2d_tf.training.step_timing import StepTimes

FLAGS = command_line.Register()
_RECORDS = FLAGS.define_string("records", None, "Folder written by a2d records.")
_DEVICE = command_flags.define_device(FLAGS)
Config.define_flags(FLAGS)
_FEED_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Computation:
    """The time and memory that a few training steps and a validation took.

    Attributes:
      batch_size: the number of clips of a step.
      step_times: the seconds of the first step and of a later one.
      validation: the seconds of a validation on all frames held out.
      peak_memory: the most bytes of GPU memory in use; None on a CPU.
    """

    batch_size: int
    step_times: StepTimes
    validation: float
    peak_memory: int | None

    @property
    def seconds_per_clip(self) -> float:
        """The seconds of a training step, divided by its number of clips."""
        return self.step_times.step / self.batch_size

    def text(self) -> str:
        """Return a line for the user with the time and the memory of a step."""
        line = (
            f"step: {1e3 * self.step_times.step:.0f} ms for {self.batch_size} clips;"
            f" first step {self.step_times.start:.0f} s"
        )
        if self.peak_memory is not None:
            line += f", {self.peak_memory / 2**30:.1f} GB at most"
        return line


def time_training(config: Config, manifest: Manifest, on_gpu: bool) -> Computation:
    """Run a few training steps of a new network, then validate it on a few clips.

    A GPU computes a batch at a time, a CPU a single clip.

    Raises:
      InputError: the batch does not fit the memory.
    """
    import tensorflow as tf

    from a2d_tf.evaluation.evaluator import Evaluator
    from a2d_tf.model.network import Network
    from a2d_tf.training import step_timing

    batch_size = config.training.batch_size if on_gpu else 1
    training = dataclasses.replace(config.training, batch_size=batch_size)
    config = dataclasses.replace(config, training=training)
    tf.keras.utils.set_random_seed(training.seed)
    network = Network(config.model, manifest.label_space, config.compute)
    try:
        step_times = step_timing.time_steps(network, manifest, config)
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            f"out of memory in a step of {batch_size} clips; lower --batch_size, or use"
            " --precision=mixed_bfloat16"
        ) from error
    peak_memory = None
    if on_gpu:
        peak_memory = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    seconds_per_frame = time_validation(
        Evaluator(network, config, manifest), most=3 * training.evaluation_batch
    )
    frames_held_out = training.val_fraction * manifest.counts["train"]["records"]
    return Computation(
        batch_size=batch_size,
        step_times=step_times,
        validation=frames_held_out * seconds_per_frame,
        peak_memory=peak_memory,
    )


def time_validation(evaluator: Evaluator, most: int) -> float:
    """Measure how long a validation takes, in seconds per frame.

    The same training frames are validated twice, and the second time counts: the first
    one compiles functions.

    Args:
      evaluator: validates a network on its records, which have training frames.
      most: the most frames to score. One batch is scored while the next is computed, so
        several batches tell more.
    """
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        validation = evaluator.validate("train", most=most)
        seconds = time.perf_counter() - start
    assert validation is not None  # a training has steps on these frames
    return seconds / validation.frames


def time_input(config: Config, manifest: Manifest) -> float:
    """Measure the clips per second of the input pipeline while nothing else runs."""
    from a2d_tf.data.batches import pipeline

    batches = iter(pipeline.training(manifest, config))
    next(batches)  # fills the buffers
    clips = 0
    start = time.perf_counter()
    while time.perf_counter() - start < _FEED_SECONDS:
        next(batches)
        clips += config.training.batch_size
    return clips / (time.perf_counter() - start)


def hours(
    training: TrainingConfig,
    *,
    seconds_per_clip: float,
    clips_per_second: float,
    validation: float,
) -> str:
    """Return a line for the user that says how many hours a whole training takes.

    Args:
      training: the settings of the training.
      seconds_per_clip: the time of a training step for each of its clips.
      clips_per_second: the speed of the input pipeline.
      validation: the seconds of a validation.
    """
    validations = math.ceil(training.steps / training.validate_every)
    step = training.batch_size * max(seconds_per_clip, 1 / clips_per_second)
    total = training.steps * step + validations * validation
    return (
        f"training: {training.steps} steps of {training.batch_size} clips at"
        f" {1e3 * step:.0f} ms and {validations} validations of {validation:.0f} s take"
        f" {total / 3600:.1f} h"
    )


def main(argv: list[str]) -> None:
    """Measure steps and input on this machine, and print the hours of a run."""
    config = Config.from_flags(FLAGS)
    command_line.require(argv, records=_RECORDS.value)
    manifest = Manifest.load(_RECORDS.value)
    manifest.check_frames(config.model.frames)
    import tensorflow as tf

    from a2d_tf.model import backbones
    from a2d_tf.training import run_settings

    gpus = devices.prepare(_DEVICE.value, config.training.deterministic)
    config = run_settings.resolve_config(config, Config.named_settings(FLAGS, "model"))
    config = run_settings.without_untrained_masks(config, manifest)
    devices.announce(gpus, config.compute.precision)
    print(
        f"host: {devices.cores()} cores, {devices.memory() / 2**30:.0f} GB,"
        f" TensorFlow {tf.__version__}, Python {platform.python_version()}",
        flush=True,
    )
    if config.model.use_flow:
        model = config.model
        sampled = deviations.sample_deviations(
            manifest, (model.image_height, model.image_width)
        )
        rgb_scale = backbones.convention(model, "rgb").std[0]
        print(deviations.describe_flow(sampled, model.flow_scale, rgb_scale))
    computation = time_training(config, manifest, bool(gpus))
    print(computation.text(), flush=True)
    clips_per_second = time_input(config, manifest)
    print(f"input: {clips_per_second:.0f} clips/s")
    line = hours(
        config.training,
        seconds_per_clip=computation.seconds_per_clip,
        clips_per_second=clips_per_second,
        validation=computation.validation,
    )
    print(line)


run = command_line.command(main, FLAGS)
