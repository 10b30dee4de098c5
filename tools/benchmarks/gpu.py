"""The measurements of the rows of `tools/gpu_report.py`, each in a process of its own.

A function takes a Place and options. It yields the figures that it knows so far, {name:
value}; those it yields last count.
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import importlib.metadata
import pathlib
import shutil
import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import tensorflow as tf

from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.core.machine import devices
from a2d_tf.model.network import Network
from a2d_tf.training.step import forward, replicas
from tools.benchmarks import measure, processes, setups

Values = Iterator[dict[str, Any]]
ROUNDING = {"float32": 1e-6, "TF32": 5e-4}
"""{way to multiply: relative disturbance of weights as large as its rounding}."""


class Place(NamedTuple):
    """The folder of the report, and the sizes to measure with.

    Attributes:
      folder: path of the folder.
      small: whether to use sizes that show only that the rows work.
    """

    folder: pathlib.Path
    small: bool


def _config(place, batch=None, precision="float32", deterministic=True, on_gpu=True):
    """Prepare the device; return configs/a2d.flags with these settings."""
    gpus = devices.prepare("auto" if on_gpu else "cpu", deterministic)
    if on_gpu and not gpus:
        raise InputError("needs a GPU")
    config = setups.read("a2d", place.small).with_settings(precision=precision)
    if batch is None:
        batch = 2 if place.small else 8
    return _with_batch(config, batch)


def _with_batch(config, batch):
    training = dataclasses.replace(config.training, batch_size=batch)
    return dataclasses.replace(config, training=training)


def machine(place: Place) -> Values:
    """Describe the machine and its software, and whether its GPU computes."""
    packages = []
    for package in importlib.metadata.distributions():
        packages.append(f"{package.metadata['Name']}=={package.version}")
    values = {
        **measure.machine(),
        "small": place.small,
        "computes": False,
        "nvidia-smi": _nvidia_smi("name,driver_version,memory.total,power.limit"),
        "packages": " ".join(sorted(packages)),
    }
    yield values
    devices.prepare()
    _check_kernels()
    yield {**values, "computes": True}


def _nvidia_smi(query):
    if not shutil.which("nvidia-smi"):
        return ""
    words = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    return processes.run(words, 30).stdout.strip()


def _check_kernels():
    if float(tf.reduce_sum(tf.constant([1.0, 2.0, 3.0]))) != 6.0:
        raise InputError("the kernels of this GPU compute nothing")


def _network(config, rounding=""):
    """Return a network whose random weights are always the same.

    With a way of ROUNDING each weight is disturbed by about that part of itself.
    """
    tf.keras.utils.set_random_seed(0)
    network = Network(config.model, A2D, config.compute)
    if rounding:
        rng = np.random.default_rng(0)
        for variable in network.trainable_weights:
            noise = rng.standard_normal(variable.shape, np.float32)
            variable.assign(variable * (1 + ROUNDING[rounding] * noise))
    return network


def _stream(config, device=None):
    """Repeat one batch without end, on the device if training has it there."""
    batch = setups.batch(config.model, config.training.batch_size)
    dataset = tf.data.Dataset.from_tensors(replicas.for_device(batch)).cache().repeat()
    if device:
        dataset = dataset.apply(tf.data.experimental.prefetch_to_device(device, 2))
    return iter(dataset)


def step(place: Place, layout: bool = False, gpus: int = 1, **options: Any) -> Values:
    """Measure time, memory and result of training steps on prefetched batches.

    Args:
      place: folder of the report, and sizes.
      layout: whether to switch on TensorFlow's layout optimizer.
      gpus: number of GPUs to train on.
      **options: precision, and whether ops are deterministic.
    """
    config = _config(place, **options)
    if layout:
        tf.config.optimizer.set_experimental_options({"layout_optimizer": True})
    count = 5 if place.small else 50
    if gpus > 1:
        strategy = tf.distribute.MirroredStrategy()
        with strategy.scope():
            network = _network(config)
            train_step = setups.make_step(network, config.training)
            batch = next(_stream(config))
            endless = tf.data.Dataset.from_tensors(batch).unbatch().repeat()
            batches = endless.batch(config.training.batch_size)
            stream = iter(strategy.experimental_distribute_dataset(batches))
            values = _timed(train_step, stream, config, count)
    else:
        device = tf.config.list_logical_devices("GPU")[0].name
        with tf.device(device):
            network = _network(config)
            train_step = setups.make_step(network, config.training)
            values = _timed(train_step, _stream(config, device), config, count)
    digest = hashlib.sha256()
    for variable in network.variables:
        digest.update(variable.numpy().tobytes())
    yield {**values, "weights": digest.hexdigest()[:16]}


def _timed(train_step, stream, config, count):
    """Return figures of so many training steps, after four to warm up."""
    began = time.perf_counter()
    train_step(next(stream), 0)["total"].numpy()
    first = time.perf_counter() - began
    for number in range(1, 4):
        train_step(next(stream), number)["total"].numpy()
    tf.config.experimental.reset_memory_stats("GPU:0")
    host_seconds = []
    began = time.perf_counter()
    for number in range(4, 4 + count):
        queued = time.perf_counter()
        values = train_step(next(stream), number)
        host_seconds.append(time.perf_counter() - queued)
    loss = float(values["total"])
    seconds = (time.perf_counter() - began) / count
    used = _nvidia_smi("memory.used").splitlines()
    return {
        "step ms": 1e3 * seconds,
        "host ms": 1e3 * statistics.median(host_seconds),
        "clips/s": config.training.batch_size / seconds,
        "first step s": first,
        "allocated GB": tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30,
        "nvidia-smi GB": int(used[0]) / 1024 if used else None,
        "loss": loss,
    }


def batches(place: Place) -> Values:
    """Measure training steps of larger and larger batches, while memory suffices."""
    base = _config(place)
    by_batch = {}
    yield {"largest batch": 0}
    name = tf.config.list_logical_devices("GPU")[0].name
    sizes = (16, 32) if place.small else (16, 32, 64, 128, 256, 512)
    for batch in sizes:
        config = _with_batch(base, batch)
        try:
            with tf.device(name):
                step = setups.make_step(_network(config), config.training)
                values = _timed(step, _stream(config, name), config, 5)
        except tf.errors.ResourceExhaustedError:
            return
        del step  # the memory is for the next
        gc.collect()
        by_batch[batch] = {
            "step ms": values["step ms"],
            "clips/s": values["clips/s"],
            "allocated GB": values["allocated GB"],
        }
        yield {"largest batch": batch, "by batch": by_batch}


def gradients(place: Place) -> Values:
    """Compare the gradients on the GPU with those on the CPU, on the same RoIs.

    The least disturbance changes which boxes are proposed, and with them the gradients
    by a percent. The floor is what a disturbance of the weights changes on the CPU.
    """
    config = _config(place, batch=2)
    _check_kernels()
    network = _network(config)
    batch = setups.batch(config.model, 2)
    with tf.device("CPU:0"):
        features = network.extract_features(batch, training=True)
        proposals = network.proposals.decode(
            features,
            batch["size"],
            config.training.train_proposals_before_nms,
            config.training.train_proposals,
        )
    right = _gradients(network, config, batch, "CPU:0", proposals)
    differences: dict[str, dict[str, float]] = {part: {} for part in right}

    def compare(title, other_network, device):
        gradients = _gradients(other_network, config, batch, device, proposals)
        for part, vector in gradients.items():
            difference = tf.norm(vector - right[part]) / tf.norm(right[part])
            differences[part][title] = float(difference)

    for rounding in ROUNDING:
        tf.config.experimental.enable_tensor_float_32_execution(rounding == "TF32")
        compare(rounding, network, "GPU:0")
        yield {"relative difference": differences}
        compare(f"floor, {rounding}", _network(config, rounding), "CPU:0")
        yield {"relative difference": differences}


def _gradients(network, config, batch, device, proposals):
    """Return {part of the network: its gradients as a vector}."""
    parts = {}
    for name, part in network.parts().items():
        parts[name] = part.trainable_variables
    vectors = {}
    fixed_proposals = mock.patch.object(
        network.proposals, "decode", lambda *_: proposals
    )
    with fixed_proposals, tf.device(device):
        with tf.GradientTape() as tape:
            seed = tf.constant([0, 0], tf.int64)
            terms, _ = forward.forward(network, batch, seed, config.training)
            loss = forward.weighted(terms, config.training)["total"]
        gradients = tape.gradient(loss, parts, unconnected_gradients="zero")
        for name, tensors in gradients.items():
            vectors[name] = tf.concat([tf.reshape(x, [-1]) for x in tensors], 0)
    return vectors


def losses(place: Place, on_gpu: bool = True, rounding: str = "") -> Values:
    """Train ten steps of two clips each, and yield the losses.

    Args:
      place: folder of the report, and sizes.
      on_gpu: whether to train on the GPU.
      rounding: a key of ROUNDING to disturb the weights by first; "" not to.
    """
    config = _config(place, batch=2, on_gpu=on_gpu)
    train_step = setups.make_step(_network(config, rounding), config.training)
    stream = _stream(config)
    totals = []
    for number in range(10):
        totals.append(float(train_step(next(stream), number)["total"]))
        yield {"losses": totals}
