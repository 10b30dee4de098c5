"""TensorBoard's files of a run, in the folder `tensorboard/` of the run folder.

There is a writer for each split. After a run is resumed no step is there twice.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from tensorflow.core.util import event_pb2

from a2d_tf.model.heads import LOSS_TERMS
from a2d_tf.runs.checkpoints import writing
from a2d_tf.runs.run_folder import EVENTS


def to_tags(values: dict[str, float]) -> dict[str, float]:
    """Return a step's values by their tags in TensorBoard.

    Args:
      values: {name: value} of loss terms, 'total' and health figures.

    Returns:
      {tag: value}: 'loss/NAME' for loss terms and the total, 'run/NAME' for the rest.
    """
    renamed = {}
    for name, value in values.items():
        is_loss = name in LOSS_TERMS or name == "total"
        group = "loss" if is_loss else "run"
        renamed[f"{group}/{name}"] = value
    return renamed


class Events:
    """The TensorBoard writers of a run folder, named 'train' and 'validation'.

    A writer's file is made at its first point.

    Args:
      workdir: path of the run folder.
    """

    def __init__(self, workdir: str) -> None:
        self._folder = os.path.join(workdir, "tensorboard")
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def write(
        self,
        name: str,
        step: int,
        scalars: dict[str, float],
        images: dict | None = None,
    ) -> None:
        """Write the values of a step to a writer's file, and flush it.

        Args:
          name: the writer, 'train' or 'validation'.
          step: the number of steps done.
          scalars: {tag: number}.
          images: {tag: RGB uint8 [1, H, W, 3]}; None for no images.

        Raises:
          InputError: no file can be made. TensorFlow does not tell when one cannot
            grow.
        """
        with writing(self._folder, step):
            if name not in self._writers:
                path = os.path.join(self._folder, name)
                self._writers[name] = tf.summary.create_file_writer(path)
            with self._writers[name].as_default(step):
                for tag, value in scalars.items():
                    tf.summary.scalar(tag, value)
                for tag, value in (images or {}).items():
                    tf.summary.image(tag, value)
            self._writers[name].flush()

    def trim(self, name: str, last: int) -> None:
        """Remove the points after a step from a writer's files.

        A run that resumes at this step writes them again.

        Args:
          name: the writer, 'train' or 'validation'.
          last: the last step whose point stays.
        """
        for path in pathlib.Path(self._folder, name).glob(EVENTS):
            events = list(_events(path))
            kept = [serialized for serialized, event in events if event.step <= last]
            if len(kept) < len(events):
                # TensorBoard does not read files without `tfevents` in their names.
                partial = path.with_name(".trim.tmp")
                with tf.io.TFRecordWriter(str(partial)) as writer:
                    for serialized in kept:
                        writer.write(serialized)
                partial.replace(path)


def _events(path: pathlib.Path) -> Iterator[tuple[bytes, Any]]:
    """Yield (bytes, Event) of the complete records.

    A killed run may leave a partial one.
    """
    with contextlib.suppress(tf.errors.DataLossError):
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield serialized, event_pb2.Event.FromString(serialized)
