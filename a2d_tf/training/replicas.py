"""Data-parallel training on several devices and machines, with `tf.distribute`.

Every replica holds all weights and computes its part of a step's batch. Losses are divided by the
counts of all replicas and gradients are summed, so that a step equals that of one device on the
whole batch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Callable

import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import check_json, whole
from a2d_tf.data import pipeline
from a2d_tf.data.manifest import Manifest

_AHEAD = 2  # batches on the device


def make(kind: str, number: int = 0) -> tf.distribute.Strategy:
    """Return the strategy of a run; call it before TensorFlow creates its first tensor.

    Args:
      kind: 'none', 'mirrored' (the devices of this machine) or 'multi_worker' (this process is one
        of several, listed in the environment variable TF_CONFIG).
      number: of replicas of 'mirrored': GPUs, or logical CPU devices without a GPU; 0 for all GPUs.

    Raises:
      InputError: more replicas than GPUs, or no usable TF_CONFIG.
    """
    if kind == "none":
        return tf.distribute.get_strategy()
    count(kind, number)
    if kind == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    device = "GPU" if tf.config.get_visible_devices("GPU") else "CPU"
    if device == "CPU" and number:
        parts = [tf.config.LogicalDeviceConfiguration()] * number
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    return tf.distribute.MirroredStrategy([f"{device}:{i}" for i in range(number)] or None)


def count(kind: str, number: int = 0) -> tuple[int, int]:
    """Return how many machines share a batch, and how many devices of each; its CPU is one.

    Args:
      kind, number: see `make`, which need not be called.

    Raises:
      InputError: see `make`.
    """
    gpus = len(tf.config.get_visible_devices("GPU"))
    if kind == "multi_worker":
        return len(_workers()), max(1, gpus)
    if kind == "none" or not gpus:
        return 1, 1
    if number > gpus:
        raise InputError(f"--replicas={number}: TensorFlow finds {gpus} GPUs; give as many")
    return 1, number or gpus


def _workers() -> list[str]:
    """Return the workers' hosts in TF_CONFIG."""
    text = os.environ.get("TF_CONFIG", "")
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", '
    try:
        value = json.loads(text)
        check_json(value, {"cluster": {"worker": [str]}, "task": {"index": whole()}})
        if value["task"]["index"] < len(value["cluster"]["worker"]):
            return value["cluster"]["worker"]
    except ValueError:
        pass
    raise InputError(
        f"--strategy=multi_worker: the environment variable TF_CONFIG is {text!r}; in every worker "
        f"it should be {example}" + '"index": 0}}, with an index of its own'
    )


def batches(manifest: Manifest, config: Config, *, start_step: int) -> Iterator[dict]:
    """Iterate over `pipeline.training` from a step on, each replica's part on its device.

    The next batches are copied there while a step computes: by the strategy, or without one by a
    prefetch to the GPU, if there is one.
    """

    def part(context):
        dataset = pipeline.training(manifest, config, start_step=start_step, input_context=context)
        # Several workers would ask each other before every step whether there are more batches.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset.map(for_device).apply(endless)

    dataset = tf.distribute.get_strategy().distribute_datasets_from_function(part)
    gpus = tf.config.list_logical_devices("GPU")
    if gpus and not tf.distribute.has_strategy():
        dataset = dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name, _AHEAD))
    return iter(dataset)


def for_device(batch: dict) -> dict:
    """Make a batch one for a GPU: without strings, and with int64 for int32.

    The int32 arguments of a function lie on the host: each would be fetched, and waited for.
    """
    return {
        name: tf.cast(value, tf.int64) if value.dtype == tf.int32 else value
        for name, value in batch.items()
        if value.dtype != tf.string
    }


def local_devices(strategy: tf.distribute.Strategy) -> int:
    """Return how many devices of this process a strategy computes on."""
    # The default strategy lists no devices.
    return 1 if strategy.num_replicas_in_sync == 1 else len(strategy.extended.worker_devices)


def is_chief() -> bool:
    """Return whether this process is the worker that writes the run folder."""
    return tf.distribute.get_strategy().extended.should_save_summary


def first(values: Any) -> Any:
    """Return the first replica's value of each element of a nest."""
    strategy = tf.distribute.get_strategy()
    return tf.nest.map_structure(lambda x: strategy.experimental_local_results(x)[0], values)


def total(values: Any) -> Any:
    """Sum a nest of tensors over all replicas; outside of a replica return it unchanged."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def is_alone() -> bool:
    """Return whether this process is the only one of its run."""
    strategy = tf.distribute.get_strategy()
    return not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def agree(number: float) -> bool:
    """Return whether all workers give the same number. All have to call it."""
    add = _make_sum()
    count = 1 if is_alone() else tf.distribute.get_strategy().num_replicas_in_sync
    return bool(add(number**2) * count == add(number) ** 2)


def make_any() -> Callable[[bool], bool]:
    """Return a function bool -> whether it is true of any worker. All call it at the same step."""
    add = _make_sum()
    return lambda flag: bool(add(flag) > 0)


def make_delayed_any() -> Callable[[bool], bool]:
    """Like `make_any`, but with several workers return the answer of the call before.

    So no step waits for communication.
    """
    if is_alone():
        return bool
    add, before = _make_sum(), tf.constant(0.0)

    def delayed(flag):
        nonlocal before
        before, last = add(flag), before
        return bool(last > 0)

    return delayed


def _make_sum():
    """Return a function of a number -> its sum over all workers, a scalar."""
    if is_alone():
        return float
    strategy = tf.distribute.get_strategy()

    @tf.function
    def add(x):
        # The identity is on a device; the argument is not.
        return first(strategy.run(lambda x: total(tf.identity(x)), (x,)))

    return lambda number: add(tf.constant(float(number), tf.float64))
