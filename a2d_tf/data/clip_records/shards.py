"""Read and write shards: TFRecord files of serialised records."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator

import tensorflow as tf

from a2d_tf.core.errors import InputError


def read_shard(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the serialised records of a shard, in the order of the file.

    Args:
      path: the shard, a TFRecord file.

    Raises:
      InputError: the shard is missing or damaged.
    """
    with reporting_damage(path):
        yield from tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator()


@contextlib.contextmanager
def reporting_damage(path: str | os.PathLike) -> Iterator[None]:
    """Turn errors of reading records in a `with` into InputErrors that name the file.

    Args:
      path: the shard; or the folder of the records, whose shards are then read until
        the damaged one is found.

    Raises:
      InputError: records are damaged. A lack of memory is raised as TensorFlow's error.
    """
    try:
        yield
    except (InputError, tf.errors.OpError) as error:
        if isinstance(error, tf.errors.ResourceExhaustedError):
            raise  # the records are not at fault
        if isinstance(error, tf.errors.DataLossError) and os.path.isdir(path):
            _read_all(path)
        if isinstance(error, InputError):
            problem = str(error)
        else:  # TensorFlow's messages go on for lines about its graph.
            problem = type(error).__name__
        raise InputError(
            f"{path}: corrupt records ({problem}); rebuild them"
        ) from error


def _read_all(folder: str | os.PathLike) -> None:
    """Read all shards of a folder; the InputError of the first damaged one names it."""
    for shard in sorted(pathlib.Path(folder).glob("*.tfrecord")):
        for _ in read_shard(shard):
            pass


def write_shard(path: str | os.PathLike, records: Iterable[bytes]) -> None:
    """Write serialised records to a TFRecord file, a shard.

    Args:
      path: the file; an existing one is replaced.
      records: the records as `encode` returns them.

    Raises:
      InputError: the file cannot be written.
    """
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
    except tf.errors.OpError as error:
        raise InputError(f"{path}: cannot be written ({error.message})") from error
