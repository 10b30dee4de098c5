"""Steps whose loss is not finite: find the clips at fault and save the batch for a
replay.

`RUN/diverged/` gets `batch.npz` and a checkpoint of the weights before the step, whose
number is that of the step; a2d replay reads both.
"""

from __future__ import annotations

import math
import os
import shutil
from typing import NoReturn

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_npz, write_file
from a2d_tf.data import clip_records, pipeline
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.runs import checkpoints
from a2d_tf.runs.scores import CHECKPOINTS, steps_in
from a2d_tf.training import replicas
from a2d_tf.training.train_step import Probe, make_probe

BATCH = "batch.npz"


def stop(
    values: dict[str, float],
    step: int,
    network: Network,
    manifest: Manifest,
    config: Config,
    workdir: str,
) -> NoReturn:
    """Keep a step that reports a non-finite value, and find the clips at fault.

    Args:
      values: what the step reports; step: its number, from 0.

    Raises:
      InputError: always; names the clips. The step's batch and the weights, which it
        has not changed, are in `diverged/`.
    """
    name = next(name for name, value in values.items() if not math.isfinite(value))
    with clip_records.naming(manifest.directory):
        batch = next(iter(pipeline.training(manifest, config, start_step=step)))
    folder = os.path.join(workdir, CHECKPOINTS["diverged"])
    shutil.rmtree(folder, ignore_errors=True)
    checkpoints.save(folder, {"network": network}, step)
    kept = {name: value.numpy() for name, value in batch.items()}
    kept["video"] = np.char.decode(kept["video"].astype(bytes))  # no pickle
    write_file(
        os.path.join(folder, BATCH), lambda file: np.savez_compressed(file, **kept)
    )
    clips = probe_clips(batch, step, make_probe(network, config.training))
    at_fault = [clip for clip, values in clips.items() if not is_finite(values)]
    raise InputError(
        f"step {step + 1}: '{name}' is {values[name]}, from"
        f" {', '.join(at_fault) or 'no single clip'}; a2d replay --workdir={workdir}"
        " shows details. Fix the clip, or lower --learning_rate, lengthen"
        " --warmup_steps or lower --clip_norm; the same command resumes at the last"
        " checkpoint. If it diverges again at once, that checkpoint is bad: delete the"
        f" newest in {workdir}/checkpoints"
    )


def is_finite(values: dict[str, float]) -> bool:
    """Return whether all that a step reports is finite."""
    return all(map(math.isfinite, values.values()))


def row(batch: dict, i: int) -> dict:
    """Return one clip of a batch, as a batch of one that a step takes."""
    return {
        name: value[i : i + 1] for name, value in replicas.for_device(batch).items()
    }


def probe_clips(batch: dict, step: int, probe: Probe) -> dict[str, dict[str, float]]:
    """Compute what a step reports for each clip of its batch alone: {VID/frame:
    values}.

    Args:
      batch: the whole batch of the step; step: its number, from 0; probe: of
        `make_probe`.
    """
    number, clips = tf.constant(step, tf.int64), {}
    for i, (video, frame) in enumerate(
        zip(batch["video"].numpy(), batch["frame"].numpy())
    ):
        values = probe(row(batch, i), number)
        clips[f"{video.decode()}/{frame:05d}"] = {
            k: float(v) for k, v in values.items()
        }
    return clips


def load(workdir: str) -> tuple[dict, int]:
    """Read the (batch, step) that `stop` wrote; FileNotFoundError where no step has
    diverged.
    """
    folder = os.path.join(workdir, CHECKPOINTS["diverged"])
    path = os.path.join(folder, BATCH)
    batch = {name: tf.constant(array) for name, array in read_npz(path).items()}
    return batch, steps_in(folder)[-1]
