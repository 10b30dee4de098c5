"""Reading of records one by one: their ground truth, and on request frames and flow."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from a2d_tf.data.record_folder.manifest import Manifest

if TYPE_CHECKING:
    import tensorflow as tf

    from a2d_tf.data.clip_records import ClipTruth


class ReadRecord(NamedTuple):
    """A record that was read from a shard.

    Attributes:
      split: 'train' or 'test'.
      fields: {name: array}, frames, flow and masks as `clip_records.parse` returns
        them; empty if they were not decoded.
      truth: ground truth of the key frame, at the size of the video.
    """

    split: str
    fields: dict[str, np.ndarray]
    truth: ClipTruth


def read_records(
    manifest: Manifest,
    splits: Iterable[str],
    limit: int | None = None,
    decode: bool = False,
    frames: int | None = None,
    every: int = 1,
    wanted: Container[tuple[str, int]] | None = None,
) -> Iterator[ReadRecord]:
    """Read records one by one and yield them, shard after shard.

    Args:
      manifest: manifest of the folder of records.
      splits: the splits to read, 'train' or 'test'.
      limit: largest number of records to read; None for all.
      decode: whether to decode frames, flow and masks; otherwise a record has only its
        truth.
      frames: number of frames of each clip to decode, those in its middle; None for
        all.
      every: 1 to read all records, n to read every nth.
      wanted: (name of a video, number of the key frame from 1) of the records to yield;
        None for all.

    Raises:
      InputError: there is no such split, or a shard is missing or damaged.
    """
    import tensorflow as tf  # here, so that a wrong folder is reported at once

    from a2d_tf.data import clip_records

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return clip_records.parse(serialized, frames)

    stored_records = _read_shards(manifest, splits)
    some_records = itertools.islice(stored_records, None, None, every)
    for stored in itertools.islice(some_records, limit):
        fields = {}
        with clip_records.reporting_damage(stored.shard):
            truth = clip_records.read_truth(stored.serialized)
            if wanted is not None and (truth.video, truth.frame) not in wanted:
                continue
            if decode:
                for name, tensor in parse(stored.serialized).items():
                    fields[name] = tensor.numpy()
        yield ReadRecord(stored.split, fields, truth)


class _StoredRecord(NamedTuple):
    """A serialised record, its split, and the path of its shard."""

    split: str
    shard: str
    serialized: bytes


def _read_shards(manifest: Manifest, splits: Iterable[str]) -> Iterator[_StoredRecord]:
    """Yield the records of some splits as they are stored."""
    from a2d_tf.data import clip_records

    shards_of = {split: manifest.shards(split) for split in splits}
    for split, shards in shards_of.items():
        for shard in shards:
            for serialized in clip_records.read_shard(shard):
                yield _StoredRecord(split, shard, serialized)
