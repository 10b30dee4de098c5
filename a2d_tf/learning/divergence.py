"""A step whose loss is no number: what is kept of it, so that it can be looked at again.

`RUN/diverged/` gets the weights before the step, `batch.npz` and `step.json`; tools/replay_batch.py
reads them.
"""

import math
import os
import zipfile

import numpy as np
import tensorflow as tf

from a2d_tf.core import arrays
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.files import read_json, write_file, write_json
from a2d_tf.learning.runs import checkpoints

BATCH, STEP = "batch.npz", "step.json"
# The axes of each part of a batch.
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
    """A loss term or the gradient norm is no number."""


def row(batch, i):
    """One clip of a batch, still a batch."""
    return {name: value[i : i + 1] for name, value in batch.items()}


def names(batch):
    """VID/frame of each clip of a batch, as A2D names frames."""
    pairs = zip(batch["video"].numpy(), batch["frame"].numpy())
    return [f"{video.decode()}/{frame:05d}" for video, frame in pairs]


def probe_clips(batch, step, probe):
    """What the step reports of each clip of its batch alone.

    Args:
      batch: whole, as one device would see it; step: its number, from 0.
      probe: of `fit.make_probe`.

    Returns:
      [{name: float}].
    """
    inputs = {name: value for name, value in batch.items() if value.dtype != tf.string}
    number = tf.constant(step, tf.int64)
    found = [probe(row(inputs, i), number) for i in range(len(batch["row"]))]
    return [{name: float(value) for name, value in values.items()} for values in found]


def culprits(batch, clips):
    """Names of the clips that give no number."""
    return [
        name
        for name, values in zip(names(batch), clips)
        if not all(map(math.isfinite, values.values()))
    ]


def keep(network, batch, step, workdir, chief=True):
    """Write a step's batch and the weights before it into RUN/diverged/, in place of older ones.

    Args:
      network: a Network; batch: whole; step: its number, from 0; workdir: the run folder.
      chief: whether this process writes there. Of several workers all have to call.
    """
    folder = os.path.join(workdir, checkpoints.KINDS["diverged"])
    checkpoints.save(tf.train.Checkpoint(network=network), folder, 1, step, chief)
    if not chief:
        return
    values = {name: value.numpy() for name, value in batch.items()}
    values["video"] = np.char.decode(values["video"].astype(bytes))  # no pickle
    write_file(os.path.join(folder, BATCH), lambda file: np.savez_compressed(file, **values))
    write_json(os.path.join(folder, STEP), {"step": step})


def load(workdir):
    """(batch, step) that `keep` wrote.

    Raises:
      InputError: nothing there, or damaged.
    """
    folder = os.path.join(workdir, checkpoints.KINDS["diverged"])
    path = os.path.join(folder, BATCH)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = arrays.npz_entries(archive)
            batch = {
                name: tf.constant(arrays.numbers(entry, f"'{name}'"))
                for name, entry in entries.items()
            }
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
    except (ArithmeticError, *arrays.UNREADABLE) as error:
        raise InputError(f"{path}: damaged ({error})") from error
