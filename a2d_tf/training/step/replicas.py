"""Data-parallel training on several devices of a machine, with `tf.distribute`.

Every replica holds all weights and computes its part of a step's batch. Losses are
divided by the counts of all replicas and gradients are summed, so that a step equals
that of one device on the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.data.batches import pipeline
from a2d_tf.data.record_folder.manifest import Manifest

_PREFETCHED = 2  # batches on the device


def make(kind: str, number: int = 0) -> tf.distribute.Strategy:
    """Return the strategy of a run; call it before TensorFlow creates its first tensor.

    Args:
      kind: 'none' or 'mirrored', on the devices of this machine.
      number: of replicas of 'mirrored': GPUs, or logical CPU devices without a GPU; 0
        for all GPUs.

    Raises:
      InputError: more replicas than GPUs.
    """
    if kind == "none":
        return tf.distribute.get_strategy()
    gpus = len(tf.config.get_visible_devices("GPU"))
    if gpus and number > gpus:
        raise InputError(
            f"--replicas={number}: TensorFlow sees {gpus} GPUs; use at most that many"
        )
    if number == 0:
        return tf.distribute.MirroredStrategy()
    if gpus:
        return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(number)])
    _divide_cpu(number)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(number)])


def batches(manifest: Manifest, config: Config, *, start_step: int) -> Iterator[dict]:
    """Iterate over `pipeline.training` from a step on.

    Each replica's part of a batch is on its device. The next batches are copied there
    while a step computes: by the strategy, or without one by a prefetch to the GPU, if
    the machine has one.
    """

    def replica_batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = pipeline.training(
            manifest,
            config,
            start_step=start_step,
            replicas=context.num_replicas_in_sync,
        )
        # Otherwise the replicas ask before every step whether each has a batch.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset.map(for_device).apply(endless)

    strategy = tf.distribute.get_strategy()
    dataset = strategy.distribute_datasets_from_function(replica_batches)
    gpus = tf.config.list_logical_devices("GPU")
    if gpus and not tf.distribute.has_strategy():
        dataset = dataset.apply(
            tf.data.experimental.prefetch_to_device(gpus[0].name, _PREFETCHED)
        )
    return iter(dataset)


def for_device(batch: dict) -> dict:
    """Make a batch one for a GPU: without strings, and with int64 for int32.

    A function's int32 arguments are on the host: a GPU would wait for each of them.
    """
    fields = {}
    for name, value in batch.items():
        if value.dtype == tf.string:
            continue
        if value.dtype == tf.int32:
            value = tf.cast(value, tf.int64)
        fields[name] = value
    return fields


def first(values: Any) -> Any:
    """Return the first replica's value of each element of a nest."""
    strategy = tf.distribute.get_strategy()
    return tf.nest.map_structure(
        lambda x: strategy.experimental_local_results(x)[0], values
    )


def own_parts(variables: Iterable[tf.Variable]) -> list[tf.Variable]:
    """Return this replica's parts of variables; call it in a replica."""
    strategy = tf.distribute.get_strategy()
    context = tf.distribute.get_replica_context()
    index = tf.get_static_value(context.replica_id_in_sync_group)
    own = []
    for variable in variables:
        parts = strategy.experimental_local_results(variable)
        own.append(parts[index % len(parts)])  # a variable may have a single part
    return own


def total(values: Any) -> Any:
    """Sum a nest of tensors over all replicas.

    Outside of a replica it is returned as it is.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _divide_cpu(number: int) -> None:
    """Make logical devices of the CPU."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration() for _ in range(number)]
    tf.config.set_logical_device_configuration(cpu, logical)
