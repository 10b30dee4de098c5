"""TensorBoard's event files of a run: a writer a split, and no step twice after a resume."""

import glob
import os

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.util import event_pb2

from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import whole_records


class Events:
    """The writers of a run folder: `train`, and `validation` or, without that, `training_clips`.

    They are lazy, and may stay empty.

    Args:
      workdir: the run folder; chief: whether this process writes it.
    """

    def __init__(self, workdir, chief=True):
        self._folder, self._chief, self._writers = os.path.join(workdir, "tensorboard"), chief, {}

    def write(self, name, step, scalars=(), images=(), texts=()):
        """Write {tag: value} of scalars, images uint8 [1, H, W, 3] and texts, and flush.

        Raises:
          InputError: they cannot be written.
        """
        if not self._chief:
            return
        try:
            self._write(name, step, {"scalar": scalars, "image": images, "text": texts})
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0]
            raise InputError(
                f"{self._folder}: the points of step {step} cannot be kept ({reason}); make room, "
                "then give the same command again: it goes on from the last checkpoint"
            ) from error

    def _write(self, name, step, kinds):
        if name not in self._writers:
            path = os.path.join(self._folder, name)
            self._writers[name] = tf.summary.create_file_writer(path)
        with self._writers[name].as_default(step):
            for kind, values in kinds.items():
                for tag, value in dict(values).items():
                    getattr(tf.summary, kind)(tag, value)
        self._writers[name].flush()

    def trim(self, name, last):
        """Drop what a writer's older files say of steps after `last`: they will come again.

        Raises:
          InputError: what is there is no file of events, or cannot be written anew.
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
        for path in glob.glob(os.path.join(self._folder, name, "events.out.tfevents.*")):
            kept, dropped = [], False
            for serialized, event in _events(path):
                if event.step <= last:
                    kept.append(serialized)
                else:
                    dropped = True
            if dropped:
                # TensorBoard takes every name with `tfevents` for one more file of the run.
                partial = os.path.join(os.path.dirname(path), ".trim.tmp")
                with tf.io.TFRecordWriter(partial) as writer:
                    for serialized in kept:
                        writer.write(serialized)
                os.replace(partial, path)


def _events(path):
    """(bytes, Event) of a file's whole records; a killed run may leave part of one at its end."""
    count, _ = whole_records(path)
    try:
        for serialized in tf.data.TFRecordDataset(path).take(count):
            serialized = serialized.numpy()
            yield serialized, event_pb2.Event.FromString(serialized)
    except tf.errors.DataLossError:
        return
    except DecodeError as error:
        raise InputError(f"{path}: no events of TensorBoard; delete it") from error
