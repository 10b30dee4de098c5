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
    """Make the `tf.distribute` strategy of a run.

    Call it before TensorFlow creates its first tensor.

    Args:
      kind: 'none' for one device, or 'mirrored' for data-parallel training on several
        devices of this machine.
      number: the number of replicas of 'mirrored', on as many GPUs, or on logical CPU
        devices if there is no GPU; 0 for all GPUs.

    Raises:
      InputError: there are fewer GPUs than replicas.
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
    """Iterate endlessly over the batches of training clips, for the current strategy.

    Each replica's part of a batch is on its device. The next batches are copied there
    while a step computes: by the strategy, or without one by a prefetch to the GPU, if
    the machine has one.

    Args:
      manifest: the manifest of the training records.
      config: the settings of the run.
      start_step: the training step, from 0, of the first batch.

    Returns:
      an iterator of batches, {field: tensor [B, ...] or a value per replica}, for
      `make_train_step`; without strings, and with int64 for int32.
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
    """Return a batch without the fields that a GPU cannot hold or would wait for.

    Strings are left out. int32 becomes int64, because a function's int32 arguments are
    on the host, and a GPU would wait for each of them.

    Args:
      batch: {field: tensor}.

    Returns:
      a new {field: tensor}.
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
    """Return the first replica's values of a strategy's results.

    Args:
      values: a nest (such as a dict) of values per replica, as `strategy.run` returns.

    Returns:
      the same nest with a tensor in place of each value.
    """
    strategy = tf.distribute.get_strategy()
    return tf.nest.map_structure(
        lambda x: strategy.experimental_local_results(x)[0], values
    )


def own_parts(variables: Iterable[tf.Variable]) -> list[tf.Variable]:
    """Return this replica's parts of variables that a strategy distributes.

    Call it in a replica. Without a strategy these are the variables themselves.

    Args:
      variables: variables that were created in the scope of the strategy.
    """
    strategy = tf.distribute.get_strategy()
    context = tf.distribute.get_replica_context()
    index = tf.get_static_value(context.replica_id_in_sync_group)
    own = []
    for variable in variables:
        parts = strategy.experimental_local_results(variable)
        own.append(parts[index % len(parts)])  # a variable may have a single part
    return own


def total(values: Any) -> Any:
    """Sum tensors over all replicas.

    Args:
      values: a nest of tensors, such as a list or a dict, of this replica.

    Returns:
      the same nest with the sums; `values` itself outside of a replica.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _divide_cpu(number: int) -> None:
    """Divide the CPU into a number of logical devices."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration() for _ in range(number)]
    tf.config.set_logical_device_configuration(cpu, logical)
