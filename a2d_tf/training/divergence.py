"""Steps whose loss is not finite: find the clips at fault and save the batch for a replay.

`RUN/diverged/` gets the weights before the step, `batch.npz` and `step.json`, which
tools/replay_batch.py reads.
"""

from __future__ import annotations

import math
import os

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import UNREADABLE, read_json, read_npz, write_file, write_json
from a2d_tf.data import pipeline, records
from a2d_tf.data.manifest import Manifest
from a2d_tf.model.network import Network
from a2d_tf.training import batches, checkpoints, replicas
from a2d_tf.training.train_step import Step, make_probe

BATCH, STEP = "batch.npz", "step.json"
# Rank of each part of a batch.
_AXES = {
    "rgb": 5,
    "flow": 5,
    "size": 2,
    "boxes": 3,
    "masks": 4,
    "actors": 2,
    "actions": 2,
    "present": 2,
    "annotated": 1,
    "native_size": 2,
    "video": 1,
    "frame": 1,
    "row": 1,
}


class Diverged(InputError):
    """A loss term or the gradient norm is not finite."""


def check_finite(values: dict[str, float], step: int) -> None:
    """Raise Diverged, with the name of the first value that is not finite; step counts from 1."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise Diverged(f"step {step}: the loss term '{name}' is {value}")


def check(
    values: dict[str, float],
    step: int,
    network: Network,
    manifest: Manifest,
    *,
    config: Config,
    workdir: str,
) -> None:
    """Raise Diverged, with the clips at fault and the remedies, unless a step's values are finite.

    Before that, the step's batch and the weights, which it has not changed, go to `diverged/`.

    Args:
      values: what the step reports; step: its number, from 0.
      network: a Network; manifest: of the records; config: a Config; workdir: the run folder.
    """
    try:
        check_finite(values, step + 1)
    except Diverged as error:
        with records.naming(manifest.directory):
            batch = next(iter(pipeline.training(manifest, config, start_step=step)))
        save(network, batch, step, workdir, chief=replicas.is_chief())
        clips = probe_clips(batch, step, make_probe(network, config.learning))
        at_fault = ", ".join(culprits(batch, clips)) or "no clip alone"
        raise Diverged(
            f"{error}, from {at_fault}; tools/replay_batch.py --workdir={workdir} shows more of "
            "it. Mend the clip, or lower --learning_rate, lengthen --warmup_steps or lower "
            "--clip_norm; the same command goes on from the last checkpoint. If it diverges again "
            f"at once, that one's weights are bad: delete the newest of {workdir}/checkpoints"
        ) from error


def row(batch: dict, i: int) -> dict:
    """Return one clip of a batch, as a batch of one."""
    return {name: value[i : i + 1] for name, value in batch.items()}


def names(batch: dict) -> list[str]:
    """Return the VID/frame of each clip of a batch, as A2D names frames."""
    pairs = zip(batch["video"].numpy(), batch["frame"].numpy())
    return [f"{video.decode()}/{frame:05d}" for video, frame in pairs]


def probe_clips(batch: dict, step: int, probe: Step) -> list[dict[str, float]]:
    """Compute what a step reports for each clip of its batch alone.

    Args:
      batch: the whole batch of the step; step: its number, from 0; probe: of `make_probe`.
    """
    inputs, number = batches.without_names(batch), tf.constant(step, tf.int64)
    clips = [probe(row(inputs, i), number) for i in range(len(batch["row"]))]
    return [{name: float(value) for name, value in values.items()} for values in clips]


def culprits(batch: dict, clips: list[dict[str, float]]) -> list[str]:
    """Return the names of the clips whose values, of `probe_clips`, are not all finite."""
    return [
        name
        for name, values in zip(names(batch), clips)
        if not all(map(math.isfinite, values.values()))
    ]


def save(network: Network, batch: dict, step: int, workdir: str, *, chief: bool = True) -> None:
    """Write a step's batch and the network's weights to RUN/diverged/, replacing older ones.

    Args:
      network: a Network; batch: the whole batch; step: its number, from 0; workdir: the run folder.
      chief: whether this process writes there. All workers have to call.
    """
    folder = os.path.join(workdir, checkpoints.KINDS["diverged"])
    checkpoints.save(tf.train.Checkpoint(network=network), folder, 1, step, chief=chief)
    if not chief:
        return
    values = {name: value.numpy() for name, value in batch.items()}
    values["video"] = np.char.decode(values["video"].astype(bytes))  # no pickle
    write_file(os.path.join(folder, BATCH), lambda file: np.savez_compressed(file, **values))
    write_json(os.path.join(folder, STEP), {"step": step})


def load(workdir: str) -> tuple[dict, int]:
    """Read the (batch, step) that `save` wrote.

    Raises:
      InputError: they are missing or damaged.
    """
    folder = os.path.join(workdir, checkpoints.KINDS["diverged"])
    path = os.path.join(folder, BATCH)
    try:
        batch = {name: tf.constant(array) for name, array in read_npz(path).items()}
        for name, axes in _AXES.items():
            if len(batch[name].shape) != axes or not len(batch[name]) == len(batch["row"]) > 0:
                raise ValueError(f"'{name}' is of shape {batch[name].shape}")
        if batch["video"].dtype != tf.string or not batch["frame"].dtype.is_integer:
            raise ValueError("'video' and 'frame' are no names and numbers")
        path = os.path.join(folder, STEP)
        step = read_json(path)["step"]
        if type(step) is not int or not 0 <= step < 2**62:
            raise ValueError(f"step {shown(step)}")
        return batch, step
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; no step of this run has diverged") from error
    except (ArithmeticError, *UNREADABLE) as error:
        raise InputError(f"{path}: damaged ({error})") from error
