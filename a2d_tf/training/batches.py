"""Training batches with the settings of a run, and each replica's part of them."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest

_AHEAD = 2  # batches on the device


def without_names(batch: dict) -> dict:
    """Drop the strings of a batch: a step has no use for them, and a GPU cannot hold them."""
    return {name: value for name, value in batch.items() if value.dtype != tf.string}


def distributed(manifest: Manifest, config: Config, *, start_step: int) -> Iterator[dict]:
    """Iterate over `pipeline.training` from a step on, each replica's part on its device.

    The next batches are copied there while a step computes: by the strategy, or without one by a
    prefetch to the GPU, if there is one.
    """

    def part(context):
        dataset = pipeline.training(manifest, config, start_step=start_step, input_context=context)
        # Several workers would ask each other before every step whether there are more batches.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset.map(without_names).apply(endless)

    dataset = tf.distribute.get_strategy().distribute_datasets_from_function(part)
    gpus = tf.config.list_logical_devices("GPU")
    if gpus and not tf.distribute.has_strategy():
        dataset = on_device(dataset, gpus[0].name)
    return iter(dataset)


def on_device(dataset: tf.data.Dataset, device: str) -> tf.data.Dataset:
    """Copy the elements of a dataset to a device ahead of their use."""
    return dataset.apply(tf.data.experimental.prefetch_to_device(device, _AHEAD))
