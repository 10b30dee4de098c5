"""Checkpoints of a run folder: saves them, finds the newest whole one, restores weights from it.

`checkpoints/` has the newest ones, `best/` that of the best validation, `diverged/` the weights
before a step whose loss was no number.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import re
import shutil
import tempfile
from typing import TYPE_CHECKING

import tensorflow as tf

from a2d_tf.core.errors import InputError

if TYPE_CHECKING:
    from a2d_tf.model.network import Network

logger = logging.getLogger(__name__)

KINDS = {"last": "checkpoints", "best": "best", "diverged": "diverged"}
BEST = "validation.json"
"""In `best/`: {"step", "joint_miou", "score_threshold"} of that validation."""


def newest(folder: str) -> str | None:
    """Find a folder's newest whole checkpoint: its path without suffix, None where there is none.

    A damaged one, as a full disk or a power failure may leave it, is skipped with a warning: every
    tensor is read, and TensorFlow compares its checksum.

    Raises:
      InputError: all that are there are damaged.
    """
    numbers = sorted(_numbers(folder), reverse=True)
    for number in numbers:
        path = os.path.join(folder, f"ckpt-{number}")
        try:
            _read(path)
            return path
        except (tf.errors.OpError, OSError, ValueError, RuntimeError, LookupError) as error:
            reason = str(error).splitlines()[0]
            logger.warning("%s: damaged, left aside (%s)", path, reason)
    if numbers:
        raise InputError(
            f"{path}: damaged ({reason}), as every checkpoint there is; delete {folder} to "
            "start anew"
        )
    return None


def save(
    checkpoint: tf.train.Checkpoint, folder: str, number: int, step: int, *, chief: bool = True
) -> None:
    """Write `ckpt-<step>`, and remove all but the newest `number` of the folder.

    Args:
      checkpoint: a tf.train.Checkpoint, the same one at every call.
      chief: whether this process writes there. Of several workers all have to call, since some
        variables are gathered from all; the others write elsewhere, and that is thrown away.

    Raises:
      InputError: it cannot be written; the older ones stay.
    """
    with contextlib.ExitStack() as stack:
        place = folder if chief else stack.enter_context(tempfile.TemporaryDirectory())
        try:
            tf.train.CheckpointManager(checkpoint, place, number).save(step)
        except (tf.errors.OpError, OSError) as error:
            with contextlib.suppress(OSError, tf.errors.OpError):
                sweep(place)
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{folder}: step {step} cannot be kept ({reason}); make room, then give the same "
                "command again: it goes on from the last checkpoint"
            ) from error
    if chief:
        # Those that the file `checkpoint` does not know of: a run was killed before it was written.
        for old in sorted(n for n in _numbers(folder) if n <= step)[:-number]:
            for part in glob.glob(f"{glob.escape(os.path.join(folder, f'ckpt-{old}'))}.*"):
                with contextlib.suppress(OSError):
                    os.remove(part)


def sweep(folder: str) -> None:
    """Remove what a run that was killed while it saved left in a folder of checkpoints."""
    for name in _names(folder):
        path = os.path.join(folder, name)
        if re.fullmatch(r"ckpt-\d+_temp", name):
            shutil.rmtree(path)
        elif ".tempstate" in name:
            os.remove(path)
    try:
        tf.train.get_checkpoint_state(folder)
    except ValueError:  # empty, as a power failure may leave it; TensorFlow would save no more
        os.remove(os.path.join(folder, "checkpoint"))


def any_in(folder: str) -> bool:
    """Whether there is a checkpoint in a folder, whole or not, by the names of the files."""
    return bool(_numbers(folder))


def _numbers(folder):
    """The steps of the checkpoints in a folder, by their names."""
    names = [re.fullmatch(r"ckpt-(\d+)\.index", name) for name in _names(folder)]
    return [int(match[1]) for match in names if match]


def _read(path):
    """Read a whole checkpoint, so that TensorFlow compares its checksums."""
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
        reader.get_tensor(name)


def _names(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []


def restore(network: Network, run: str, kind: str = "last") -> str:
    """Load the weights of a run folder's checkpoint into the network.

    Args:
      network: a Network of the run's own ModelConfig and label space.
      run: the run folder; kind: of KINDS.

    Returns:
      the checkpoint's path.

    Raises:
      InputError: no checkpoint there, or one of another network.
    """
    folder = os.path.join(run, KINDS[kind])
    path = newest(folder)
    if path is None:
        raise InputError(f"{folder}: no checkpoint; train first, with --workdir={run}")
    # Partial: the optimizer's state stays unread.
    load(path, {"network": network})
    return path


def load(path: str, parts: dict) -> None:
    """Load trackables out of a checkpoint, which may hold more than these.

    Args:
      path: of `newest`; parts: {name: trackable}, each of which must be there to the last variable.

    Raises:
      InputError: a checkpoint of another network.
    """
    try:
        # Partial only lest TensorFlow tells of a mismatch in a line per variable.
        status = tf.train.Checkpoint(**parts).restore(path).expect_partial()
        status.assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: a checkpoint of another network ({reason}); give another --workdir"
        ) from error


def holds(path: str, name: str) -> bool:
    """Whether a checkpoint has a part of this name."""
    names = tf.train.load_checkpoint(path).get_variable_to_shape_map()
    return any(key.split("/")[0] == name for key in names)
