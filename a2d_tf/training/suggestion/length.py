"""The suggested batch and number of steps, by memory and time of the machine."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.training.suggestion.basis import Basis
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.presets import SQUARE, USABLE_MEMORY, Preset
from a2d_tf.training.suggestion.reasoned_flags import ReasonedFlags

_MOST_STEPS = 60000  # the paper's, by the authors' code
_FEW_STEPS = 20000  # below which weights are averaged over fewer steps
_HOURS = 3.0  # a first run on a CPU may take


def batch_and_steps(
    basis: Basis, preset: Preset, training: TrainingConfig
) -> list[ReasonedFlags]:
    """Suggest the batch, the number of steps, and the flags that follow from these.

    The batch is the largest power of two, up to the preset's, that fits the memory. The
    steps are the passes over the clips that the preset needs, within the time. The
    flags that follow are the learning rate, intervals (validation, checkpoints,
    warm-up), the decay of averages, and the shuffle buffer.

    Args:
      basis: the records, the machine and the time.
      preset: the preset that the training is like, with its memory and time.
      training: the settings of the flagfile, from which suggestions may differ.

    Returns:
      the suggested flags with their reasons: always the steps and intervals, the batch
      and the shuffle buffer only if they should differ from `training`.
    """
    pixels = math.prod(basis.contents.boxes.canvas)
    batch = _fitting_batch(basis.host, preset, pixels)
    pace = _expected_pace(basis, preset, batch * pixels)
    steps = _number_of_steps(basis, preset, pace, batch)
    settings = []
    if batch != training.batch_size:
        settings.append(_smaller_batch(batch, basis.host, preset, training))
    settings.append(_steps(steps, basis, pace, batch))
    settings.append(_intervals(steps, training))
    settings += _shuffling(basis, training)
    return settings


class _Pace(NamedTuple):
    """How long a training takes.

    Attributes:
      start_hours: hours until its first step is done.
      step_hours: hours of each step.
    """

    start_hours: float
    step_hours: float


def _fitting_batch(host: Host, preset: Preset, pixels: int) -> int:
    """Return the batch: the most clips that fit the memory, as a power of two.

    Args:
      pixels: number of pixels of the canvas.
    """
    memory = USABLE_MEMORY * (host.gpu or host.memory) - preset.network_bytes
    most_clips = max(1, memory / (preset.clip_bytes * pixels / SQUARE))
    return min(preset.batch, 2 ** int(math.log2(most_clips)))


def _expected_pace(basis: Basis, preset: Preset, pixels: int) -> _Pace:
    """Return the measured times of the training, or else those of the preset.

    Args:
      pixels: number of pixels of all clips of a step together.
    """
    if basis.step_times:
        start, step = basis.step_times
        return _Pace(start / 3600, step / 3600)
    cores = 1 if preset.on_gpu else basis.host.cores
    return _Pace(0.0, pixels * preset.seconds_per_pixel / 3600 / cores)


def _number_of_steps(basis: Basis, preset: Preset, pace: _Pace, batch: int) -> int:
    """Return the steps of a training: the preset's epochs, if time allows.

    They are never fewer than the preset's least, except to meet the given minutes: a
    network that has learned nothing is not cheaper.
    """
    minutes = basis.minutes
    most_hours = math.inf
    if not preset.on_gpu:
        most_hours = max(_HOURS, (minutes or 0) / 60)
    most_steps = min(_MOST_STEPS, most_hours / pace.step_hours)
    wanted_steps = _clips(basis) * preset.epochs / batch
    steps = max(min(wanted_steps, most_steps), preset.least_steps)
    rounded = int(float(f"{steps:.2g}"))
    if not minutes:
        return rounded
    in_time = math.ceil((minutes / 60 - pace.start_hours) / pace.step_hours)
    return min(rounded, max(1, in_time))


def _clips(basis: Basis) -> int:
    """Return the number of training clips."""
    return basis.contents.summaries["train"].clips


def _smaller_batch(
    batch: int, host: Host, preset: Preset, training: TrainingConfig
) -> ReasonedFlags:
    """Suggest the batch; the rate of SGD scales with it."""
    flags: dict[str, Any] = {"batch_size": batch}
    reason = f"what fits in memory at this image size, on {host}"
    if training.optimizer == "sgd":
        flags["learning_rate"] = training.learning_rate * batch / preset.batch
        reason += "; the rate scales with the batch"
    return ReasonedFlags(flags, reason)


def _steps(steps: int, basis: Basis, pace: _Pace, batch: int) -> ReasonedFlags:
    """Suggest the number of steps, with the time that they take."""
    clips = _clips(basis)
    passes = steps * batch / clips
    minutes = round(60 * (pace.start_hours + steps * pace.step_hours))
    unit = "minute" if minutes == 1 else "minutes"
    reason = (
        f"{passes:.1f} passes over {clips} clips; an estimated {minutes} {unit} on"
        f" {basis.host}"
    )
    if basis.step_times:
        reason += f", of {basis.step_times.step:.2g} s a step as measured"
    return ReasonedFlags({"steps": steps}, reason)


def _intervals(steps: int, training: TrainingConfig) -> ReasonedFlags:
    """Suggest what happens every so many steps, at most a share of all steps."""
    validate_every = max(1, min(training.validate_every, steps // 3))
    flags: dict[str, Any] = {
        "validate_every": validate_every,
        "checkpoint_every": min(training.checkpoint_every, validate_every),
        "warmup_steps": min(training.warmup_steps, steps // 10),
    }
    if training.average_decay and steps < _FEW_STEPS:
        flags["average_decay"] = 0.99
    return ReasonedFlags(flags, f"to match {steps} steps")


def _shuffling(basis: Basis, training: TrainingConfig) -> list[ReasonedFlags]:
    """Suggest to shuffle all clips, if they fit the memory."""
    clips = _clips(basis)
    shards = basis.manifest.shards("train")
    stored_bytes = sum(os.path.getsize(path) for path in shards)
    if clips <= training.shuffle_buffer or stored_bytes >= basis.host.memory / 8:
        return []
    reason = (
        "all clips, as those of a video are adjacent in the records"
        " (docs/real_video.md)"
    )
    return [ReasonedFlags({"shuffle_buffer": clips}, reason)]
