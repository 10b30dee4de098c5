"""TensorBoard's event files of a run: a writer a split, and no step twice after a resume."""

import glob
import os

import tensorflow as tf
from tensorflow.core.util import event_pb2


class Events:
    """The writers of a run folder: `train`, and `validation` or, without that, `training_clips`.

    They are lazy, and may stay empty.

    Args:
      workdir: the run folder; chief: whether this process writes it.
    """

    def __init__(self, workdir, chief=True):
        self._folder, self._chief, self._writers = os.path.join(workdir, "tensorboard"), chief, {}

    def write(self, name, step, scalars=(), images=(), texts=()):
        """Write {tag: value} of scalars, images uint8 [1, H, W, 3] and texts, and flush."""
        if not self._chief:
            return
        if name not in self._writers:
            path = os.path.join(self._folder, name)
            self._writers[name] = tf.summary.create_file_writer(path)
        with self._writers[name].as_default(step):
            for kind, values in (("scalar", scalars), ("image", images), ("text", texts)):
                for tag, value in dict(values).items():
                    getattr(tf.summary, kind)(tag, value)
        self._writers[name].flush()

    def trim(self, name, last):
        """Drop what a writer's older files say of steps after `last`: they will come again."""
        if not self._chief:
            return
        for path in glob.glob(os.path.join(self._folder, name, "events.out.tfevents.*")):
            kept, dropped = [], False
            for serialized in _records(path):
                if event_pb2.Event.FromString(serialized).step <= last:
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


def _records(path):
    """The whole records of an event file; a killed run may leave part of one at its end."""
    try:
        for serialized in tf.data.TFRecordDataset(path):
            yield serialized.numpy()
    except tf.errors.DataLossError:
        return
