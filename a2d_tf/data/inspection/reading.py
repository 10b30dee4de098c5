"""Read the records of shards one after another, for statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from a2d_tf.data.records import ClipTruth


def read(
    shards: Iterable[tuple[str, str]],
    limit: int | None = None,
    decode: bool = False,
    frames: int | None = None,
) -> Iterator[tuple[str, dict[str, np.ndarray], ClipTruth]]:
    """Yield (split, fields of `records.parse` as arrays, truth) of each record.

    Args:
      shards: (split, path) of each shard.
      limit: largest number of records; by default all.
      decode: whether to decode frames, flow and masks; otherwise there are no fields.
      frames: number of clip frames to decode, those in the middle; by default all.

    Raises:
      InputError: a shard is missing or damaged.
    """
    import tensorflow as tf  # here, so that a wrong folder is reported at once

    from a2d_tf.data import records

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def parse(serialized):
        return records.parse(serialized, frames)

    count = 0
    for split, shard in shards:
        for serialized in records.read_shard(shard):
            if count == limit:
                return
            count += 1
            with records.naming(shard):
                truth = records.read_truth(serialized)
                fields = parse(serialized) if decode else {}
                fields = {name: tensor.numpy() for name, tensor in fields.items()}
            yield split, fields, truth
