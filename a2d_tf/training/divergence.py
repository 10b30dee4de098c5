"""Training steps whose loss is not finite: find the loss term and clips at fault."""

from __future__ import annotations

import math
from typing import NoReturn

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.data import clip_records
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.training.step import replicas
from a2d_tf.training.step.train_step import Probe, make_probe


def stop(
    values: dict[str, float],
    step: int,
    network: Network,
    manifest: Manifest,
    config: Config,
    workdir: str,
) -> NoReturn:
    """Raise an error that names the loss term and the clips of a non-finite step.

    The step's batch is read again, and each of its clips is computed alone.

    Args:
      values: the losses and figures that the step reported, {name: value}; at least one
        is not finite.
      step: number of the step, from 0.
      network: the network with the weights before the step, which a non-finite step
        does not change.
      manifest: the manifest of the training records.
      config: the settings of the run.
      workdir: path of the run folder, for the message.

    Raises:
      InputError: always.
    """
    term = next(name for name, value in values.items() if not math.isfinite(value))
    with clip_records.reporting_damage(manifest.directory):
        batch = next(iter(pipeline.training(manifest, config, start_step=step)))
    probe = make_probe(network, config.training)
    clips_at_fault = []
    for clip, clip_values in probe_clips(batch, step, probe).items():
        if not is_finite(clip_values):
            clips_at_fault.append(clip)
    raise InputError(
        f"step {step + 1}: '{term}' is {values[term]}, from"
        f" {', '.join(clips_at_fault) or 'no single clip'}. Fix the clip, or lower"
        " --learning_rate, lengthen --warmup_steps or lower --clip_norm; the same"
        " command resumes at the last checkpoint. If it diverges again at once, that"
        f" checkpoint is bad: delete the newest in {workdir}/checkpoints"
    )


def is_finite(values: dict[str, float]) -> bool:
    """Return whether all losses and figures of a step, {name: value}, are finite."""
    return all(math.isfinite(value) for value in values.values())


def probe_clips(batch: dict, step: int, probe: Probe) -> dict[str, dict[str, float]]:
    """Compute the losses and figures of a step for each clip of its batch alone.

    Args:
      batch: the whole batch of the step, {field: tensor [B, ...]}, with the fields
        `video` and `frame`.
      step: number of the step, from 0; with the seed it decides on the sampling.
      probe: the function that `make_probe` returns, a step without its update.

    Returns:
      {'VIDEO/FRAME' of a clip: {name: value}}, with the key frame's number in five
      digits.
    """
    step_number = tf.constant(step, tf.int64)
    fields = replicas.for_device(batch)
    videos = batch["video"].numpy()
    frames = batch["frame"].numpy()
    clips = {}
    for row, (video, frame) in enumerate(zip(videos, frames)):
        clip = {name: value[row : row + 1] for name, value in fields.items()}
        values = {}
        for name, value in probe(clip, step_number).items():
            values[name] = float(value)
        clips[f"{video.decode()}/{frame:05d}"] = values
    return clips
