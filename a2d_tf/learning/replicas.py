"""Many devices, on TensorFlow's own engine: `tf.distribute`.

Every replica holds all weights and works on its part of a step's batch. Losses are divided by the
counts of all replicas and gradients are added up, so that a step is what one device would do on
the whole batch.
"""

import json
import os
import re

import tensorflow as tf

from a2d_tf.core.errors import InputError


def make(kind, number=0):
    """The `tf.distribute.Strategy` of a run; to be called before TensorFlow makes its first tensor.

    Args:
      kind: 'none', 'mirrored' (the devices of this machine) or 'multi_worker' (this process is one
        of several, which the environment variable TF_CONFIG names).
      number: replicas of 'mirrored': GPUs, or parts of the CPU where there is none; 0 is all GPUs.

    Raises:
      InputError: more replicas than GPUs, or no usable TF_CONFIG.
    """
    if kind == "multi_worker":
        _check_cluster()
        return tf.distribute.MultiWorkerMirroredStrategy()
    if kind == "none":
        return tf.distribute.get_strategy()
    gpus = tf.config.get_visible_devices("GPU")
    if gpus and number > len(gpus):
        raise InputError(f"--replicas={number}: TensorFlow finds {len(gpus)} GPUs; give as many")
    if gpus or not number:
        return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(number)] or None)
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * number
    )
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(number)])


def _check_cluster():
    text = os.environ.get("TF_CONFIG", "")
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", '
    try:
        value = json.loads(text)
        hosts, index = value["cluster"][value["task"]["type"]], value["task"]["index"]
        every = [host for kind in value["cluster"].values() for host in kind]
        well_formed = all(re.fullmatch(r"[^\s:]\S*:\d+", host) for host in every)
        if well_formed and value["cluster"]["worker"] and type(index) is int and index >= 0:
            _ = hosts[index]
            return
    except (ValueError, LookupError, AttributeError, TypeError):
        pass
    raise InputError(
        f"--strategy=multi_worker: the environment variable TF_CONFIG is {text!r}; in every worker "
        f"it should be {example}" + '"index": 0}}, with an index of its own'
    )


def local_devices(strategy):
    """How many devices of this process a strategy computes on."""
    # The default one knows no devices.
    return 1 if strategy.num_replicas_in_sync == 1 else len(strategy.extended.worker_devices)


def is_chief():
    """Whether this process writes the run folder: one of several workers does."""
    return tf.distribute.get_strategy().extended.should_save_summary


def first(values):
    """Of a nest of what each replica returned, the first one's."""
    strategy = tf.distribute.get_strategy()
    return tf.nest.map_structure(lambda x: strategy.experimental_local_results(x)[0], values)


def total(values):
    """In a replica: the sum of a nest of tensors over all replicas; elsewhere the nest itself."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def is_alone():
    """Whether this process is the only one of its run."""
    strategy = tf.distribute.get_strategy()
    return not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def agree(number):
    """Whether all workers give the same number. All call it at once."""
    if is_alone():
        return True
    strategy = tf.distribute.get_strategy()

    @tf.function
    def spread(x):
        # Tensors of their own: an argument is on no device.
        return first(strategy.run(lambda x: total((x * x, tf.identity(x))), (x,)))

    squares, values = (float(x) for x in spread(tf.constant(float(number), tf.float64)))
    return squares * strategy.num_replicas_in_sync == values**2


def make_any():
    """A function bool -> bool: whether any worker says so. All call it at the same step."""
    if is_alone():
        return bool
    strategy = tf.distribute.get_strategy()

    @tf.function
    def count(flag):
        return first(strategy.run(lambda x: total(tf.identity(x)), (flag,)))

    return lambda flag: bool(count(tf.constant(float(flag))) > 0)
