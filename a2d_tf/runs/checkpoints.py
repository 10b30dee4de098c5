"""Write, find and read the checkpoints of a run folder.

A checkpoint is the files `ckpt-<step>.*` with the weights, and while training with the
optimizer's state. An older checkpoint stays until the new one is complete.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_text
from a2d_tf.runs import run_folder

if TYPE_CHECKING:
    from a2d_tf.model.network import Network

logger = logging.getLogger(__name__)


def save(folder: str, parts: dict[str, Any], step: int, keep: int = 1) -> None:
    """Write the checkpoint `ckpt-<step>`, and then remove older ones.

    Args:
      folder: the folder of the checkpoints.
      parts: {name: object that TensorFlow can track, such as the network}.
      step: the number of training steps that are done.
      keep: the number of checkpoints up to this step that remain. With 1, all others
        are removed, later ones too.

    Raises:
      InputError: the checkpoint cannot be written; the older ones stay.
    """
    with writing(folder, step):
        tf.train.Checkpoint(**parts).write(os.path.join(folder, f"ckpt-{step}"))
    # For TensorFlow's own `latest_checkpoint`.
    write_text(
        os.path.join(folder, "checkpoint"), f'model_checkpoint_path: "ckpt-{step}"\n'
    )
    removed = run_folder.checkpoint_steps(folder)
    if keep > 1:  # later ones stay: damaged, and left aside
        removed = [old_step for old_step in removed if old_step <= step][:-keep]
    for old_step in removed:
        if old_step != step:
            for file in pathlib.Path(folder).glob(f"ckpt-{old_step}.*"):
                file.unlink()


@contextlib.contextmanager
def writing(folder: str, step: int) -> Iterator[None]:
    """Turn TensorFlow's errors inside a `with` block into one clear InputError.

    Args:
      folder: the folder that the block writes; partial checkpoints are removed from it
        after an error.
      step: the training step to name in the message.

    Raises:
      InputError: TensorFlow could not write, as on a full disk.
    """
    try:
        yield
    except tf.errors.OpError as error:
        sweep(folder)
        raise InputError(
            f"{folder}: step {step} could not be saved"
            f" ({error.message.splitlines()[0]}); free disk space, then run the same"
            " command again: it resumes at the last checkpoint"
        ) from error


def sweep(folder: str) -> None:
    """Remove the partial checkpoints that a killed run left in a folder."""
    for path in pathlib.Path(folder).glob("ckpt-*temp*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def newest(folder: str) -> str | None:
    """Find the newest whole checkpoint in a folder.

    A damaged checkpoint, such as a full disk or a power failure leaves, is skipped with
    a warning: every tensor is read, and TensorFlow compares its checksum.

    Args:
      folder: the folder of the checkpoints.

    Returns:
      the path of the checkpoint without suffix; None if the folder has none.

    Raises:
      InputError: there are checkpoints, but all are damaged, or at such a path that
        TensorFlow cannot read them.
    """
    path = None
    steps = run_folder.checkpoint_steps(folder)
    if steps:
        run_folder.check_weights_path(folder)
    for step in reversed(steps):
        path = os.path.join(folder, f"ckpt-{step}")
        try:
            reader = tf.train.load_checkpoint(path)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
            return path
        except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            logger.warning("%s: corrupt, skipped (%s)", path, reason)
    if path:
        raise InputError(
            f"{path}: corrupt ({reason}), like all other checkpoints; delete {folder}"
            " to train from scratch"
        )
    return None


def find(run: str) -> str:
    """Find the newest whole checkpoint of a run.

    Args:
      run: the run folder.

    Returns:
      the path of the checkpoint without suffix.

    Raises:
      InputError: the run has no checkpoint, or only damaged ones.
    """
    folder = run_folder.checkpoint_folder(run)
    path = newest(folder)
    if path is None:
        raise InputError(f"{folder}: no checkpoint; train first, with --workdir={run}")
    return path


def restore(network: Network, run: str) -> str:
    """Load the weights of a run's newest checkpoint into a network.

    Args:
      network: a network with the run's own `ModelConfig` and label space.
      run: the run folder.

    Returns:
      the path of the checkpoint without suffix.

    Raises:
      InputError: the run has no checkpoint, or that of another network.
    """
    path = find(run)
    load(path, {"network": network})
    return path


def load(path: str, parts: dict[str, Any]) -> None:
    """Load some parts of a checkpoint, which may hold more than these.

    Args:
      path: the path of the checkpoint without suffix, as `newest` returns it.
      parts: {name: object that TensorFlow can track, such as the network}; the
        checkpoint must have each of their variables. Their values are replaced.

    Raises:
      InputError: the checkpoint is one of another network.
    """
    tensorflow_logger = tf.get_logger()
    level = tensorflow_logger.level
    tensorflow_logger.setLevel("ERROR")
    try:
        mismatch = _read(path, parts)
        if mismatch:
            gc.collect()  # or TensorFlow warns later, of each variable that is left
    finally:
        tensorflow_logger.setLevel(level)
    if mismatch:
        raise InputError(
            f"{path}: a checkpoint of another network ({mismatch}); use another"
            " --workdir"
        )


def _read(path: str, parts: Mapping[str, Any]) -> str:
    """Read objects from a checkpoint; return words on what does not fit, or ""."""
    try:
        # Partial only lest TensorFlow tells of a mismatch in a line per variable.
        status = tf.train.Checkpoint(**parts).read(path).expect_partial()
        status.assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        return str(error).splitlines()[0]
    return ""
