"""The suggested batch and number of steps, by memory and time of the machine."""

from __future__ import annotations

import math
import os
from typing import Any

from a2d_tf.core.settings.config import TrainingConfig
from a2d_tf.training.suggestion.basis import Basis
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.presets import SQUARE, USABLE_MEMORY, Preset
from a2d_tf.training.suggestion.settings import Settings

_MOST_STEPS = 60000  # the paper's, by the authors' code
_FEW_STEPS = 20000  # below which weights are averaged over fewer steps
_HOURS = 3.0  # a first run on a CPU may take


def training_settings(
    basis: Basis, preset: Preset, training: TrainingConfig
) -> list[Settings]:
    """Suggest batch, steps, what depends on the steps, and the order of the clips.

    Args:
      preset: what the training takes.
      training: the settings that these change.
    """
    host = basis.host
    step_times = basis.step_times
    pixels = math.prod(basis.contents.boxes.canvas)
    clips = basis.contents.summaries["train"].clips
    settings = []

    batch = _fitting_batch(host, preset, pixels)
    if batch != training.batch_size:
        flags: dict[str, Any] = {"batch_size": batch}
        reason = f"what fits in memory at this image size, on {host}"
        if training.optimizer == "sgd":
            flags["learning_rate"] = training.learning_rate * batch / preset.batch
            reason += "; the rate scales with the batch"
        settings.append(Settings(flags, reason))

    if step_times:
        start_hours = step_times.start / 3600
        step_hours = step_times.step / 3600
    else:
        start_hours = 0.0
        cores = 1 if preset.on_gpu else host.cores
        step_hours = batch * pixels * preset.seconds_per_pixel / 3600 / cores
    steps = _number_of_steps(
        preset=preset,
        wanted_steps=clips * preset.epochs / batch,
        start_hours=start_hours,
        step_hours=step_hours,
        minutes=basis.minutes,
    )
    passes = steps * batch / clips
    estimate = round(60 * (start_hours + steps * step_hours))
    unit = "minute" if estimate == 1 else "minutes"
    reason = (
        f"{passes:.1f} passes over {clips} clips; an estimated {estimate} {unit} on"
        f" {host}"
    )
    if step_times:
        reason += f", of {step_times.step:.2g} s a step as measured"
    settings.append(Settings({"steps": steps}, reason))

    validate_every = max(1, min(training.validate_every, steps // 3))
    flags = {
        "validate_every": validate_every,
        "checkpoint_every": min(training.checkpoint_every, validate_every),
        "warmup_steps": min(training.warmup_steps, steps // 10),
    }
    if training.average_decay and steps < _FEW_STEPS:
        flags["average_decay"] = 0.99
    settings.append(Settings(flags, f"to match {steps} steps"))

    shards = basis.manifest.shards("train")
    stored_bytes = sum(os.path.getsize(path) for path in shards)
    if clips > training.shuffle_buffer and stored_bytes < host.memory / 8:
        settings.append(
            Settings(
                {"shuffle_buffer": clips},
                "all clips, as those of a video are adjacent in the records"
                " (docs/real_video.md)",
            )
        )
    return settings


def _fitting_batch(host: Host, preset: Preset, pixels: int) -> int:
    """Return the largest power of two of clips that fits the memory."""
    memory = USABLE_MEMORY * (host.gpu or host.memory) - preset.network_bytes
    most_clips = max(1, memory / (preset.clip_bytes * pixels / SQUARE))
    return min(preset.batch, 2 ** int(math.log2(most_clips)))


def _number_of_steps(
    *,
    preset: Preset,
    wanted_steps: float,
    start_hours: float,
    step_hours: float,
    minutes: float | None,
) -> int:
    """Return the steps of a training: those of the preset's epochs, if time allows.

    Never fewer than the preset's least, except to meet the given minutes: a network
    that has learned nothing is not cheaper.
    """
    most_hours = math.inf
    if not preset.on_gpu:
        most_hours = max(_HOURS, (minutes or 0) / 60)
    most_steps = min(_MOST_STEPS, most_hours / step_hours)
    steps = max(min(wanted_steps, most_steps), preset.least_steps)
    rounded = int(float(f"{steps:.2g}"))
    if not minutes:
        return rounded
    in_time = math.ceil((minutes / 60 - start_hours) / step_hours)
    return min(rounded, max(1, in_time))
