"""TensorBoard event files of a run: one writer per split, and no step twice after a resume."""

from __future__ import annotations

import glob
import os

import tensorflow as tf
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow.core.util import event_pb2

from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import whole_records
from a2d_tf.training import losses


def tagged(values: dict[str, float]) -> dict[str, float]:
    """Rename the losses and health figures of a step to their tags in TensorBoard."""
    groups = {name: "loss" for name in (*losses.TERMS, "total")}
    return {f"{groups.get(name, 'run')}/{name}": value for name, value in values.items()}


def clear(workdir: str) -> None:
    """Remove the points of a run that was killed before its first checkpoint: they come again."""
    folder = glob.escape(os.path.join(workdir, "tensorboard"))
    for path in glob.glob(f"{folder}/**/events.out.tfevents.*", recursive=True):
        os.remove(path)


class Events:
    """The writers of a run folder: `train`, and `validation` or, without that, `training_clips`.

    `evaluation/<split>` is of a2d_tf.evaluate.

    Args:
      workdir: the run folder; chief: whether this process writes it.
    """

    def __init__(self, workdir: str, chief: bool = True) -> None:
        self._folder, self._chief = os.path.join(workdir, "tensorboard"), chief
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(
        self, name: str, step: int, scalars: dict[str, float], images: dict | None = None
    ) -> None:
        """Write {tag: number} and {tag: uint8 image [1, H, W, 3]} of a step, and flush.

        Raises:
          InputError: they cannot be written.
        """
        if not self._chief:
            return
        try:
            self._write(name, step, scalars, images or {})
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0]
            raise InputError(
                f"{self._folder}: the points of step {step} cannot be kept ({reason}); make room, "
                "then give the same command again: it goes on from the last checkpoint"
            ) from error

    def _write(self, name, step, scalars, images):
        if name not in self._writers:
            path = os.path.join(self._folder, name)
            self._writers[name] = tf.summary.create_file_writer(path)
        with self._writers[name].as_default(step):
            for tag, value in scalars.items():
                tf.summary.scalar(tag, value)
            for tag, value in images.items():
                tf.summary.image(tag, value)
        self._writers[name].flush()

    def trim(self, name: str, last: int) -> None:
        """Remove the points after step `last` from a writer's files: they will be written again.

        Raises:
          InputError: a file there is not an event file, or cannot be rewritten.
        """
        if not self._chief:
            return
        try:
            self._trim(name, last)
        except (OSError, tf.errors.OpError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{self._folder}: the events of '{name}' cannot be taken up ({reason})"
            ) from error

    def _trim(self, name, last):
        folder = glob.escape(os.path.join(self._folder, name))
        for path in glob.glob(os.path.join(folder, "events.out.tfevents.*")):
            remaining, dropped = [], False
            for serialized, event in _events(path):
                if event.step <= last:
                    remaining.append(serialized)
                else:
                    dropped = True
            if dropped:
                # Without `tfevents` in its name TensorBoard does not read it.
                partial = os.path.join(os.path.dirname(path), ".trim.tmp")
                with tf.io.TFRecordWriter(partial) as writer:
                    for serialized in remaining:
                        writer.write(serialized)
                os.replace(partial, path)


def _events(path):
    """Yield (bytes, Event) of the complete records; a killed run may leave a partial one."""
    count, _ = whole_records(path)
    try:
        for serialized in tf.data.TFRecordDataset(path).take(count):
            serialized = serialized.numpy()
            yield serialized, event_pb2.Event.FromString(serialized)
    except tf.errors.DataLossError:
        return
    except DecodeError as error:
        raise InputError(f"{path}: no events of TensorBoard; delete it") from error
