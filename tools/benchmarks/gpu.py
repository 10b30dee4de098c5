"""Rows of `tools/gpu_report.py`: each runs in a process of its own.

A row takes a Place and its options, and yields what is known so far, {figure: value};
the last one counts.
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import importlib.metadata
import pathlib
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.errors import InputError
from a2d_tf.core.labels import A2D
from a2d_tf.model.network import Network
from a2d_tf.training import forward, replicas
from tools.benchmarks import measure, processes, setups, trace
from tools.benchmarks.verdicts import ROUNDING

Values = Iterator[dict[str, Any]]


class Place(NamedTuple):
    """The folder of the report, and whether sizes need only show that the rows work."""

    folder: pathlib.Path
    small: bool


def _config(place, batch=None, precision="float32", deterministic=True, on_gpu=True):
    """Prepare the device; return configs/a2d.flags with these settings."""
    if not devices.prepare("auto" if on_gpu else "cpu", deterministic) and on_gpu:
        raise InputError("needs a GPU")
    config = setups.read("a2d", place.small).with_inference(precision=precision)
    return _with_batch(config, batch or (2 if place.small else 8))


def _with_batch(config, batch):
    training = dataclasses.replace(config.training, batch_size=batch)
    return dataclasses.replace(config, training=training)


def machine(place: Place) -> Values:
    """What the machine and its software are, and whether its GPU computes."""
    packages = importlib.metadata.distributions()
    found = {
        **measure.machine(),
        "small": place.small,
        "computes": False,
        "nvidia-smi": _nvidia_smi("name,driver_version,memory.total,power.limit"),
        "packages": " ".join(
            sorted(f"{x.metadata['Name']}=={x.version}" for x in packages)
        ),
    }
    yield found
    devices.prepare()
    _need_kernels()
    yield {**found, "computes": True}


def _nvidia_smi(query):
    if not shutil.which("nvidia-smi"):
        return ""
    words = ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"]
    return processes.run(words, 30).stdout.strip()


def _need_kernels():
    if float(tf.reduce_sum(tf.constant([1.0, 2.0, 3.0]))) != 6.0:
        raise InputError("the kernels of this GPU compute nothing")


def _network(config, disturbed=0.0):
    """A network with the same random weights, or each off by about this part of
    itself.
    """
    tf.keras.utils.set_random_seed(0)
    network, rng = Network(config.model, A2D, config.compute), np.random.default_rng(0)
    for variable in network.trainable_weights if disturbed else ():
        noise = rng.standard_normal(variable.shape, np.float32)
        variable.assign(variable * (1 + disturbed * noise))
    return network


def _stream(config, device=None):
    """The same batch, endlessly, on the device as training has it there."""
    batch = setups.batch(config.model, config.training.batch_size)
    dataset = tf.data.Dataset.from_tensors(replicas.for_device(batch)).cache().repeat()
    if device:
        dataset = dataset.apply(tf.data.experimental.prefetch_to_device(device, 2))
    return iter(dataset)


def step(place: Place, layout: bool = False, gpus: int = 1, **options: Any) -> Values:
    """Time, memory and result of steps on prefetched batches."""
    config = _config(place, **options)
    if layout:
        tf.config.optimizer.set_experimental_options({"layout_optimizer": True})
    strategy = tf.distribute.MirroredStrategy() if gpus > 1 else None
    name = tf.config.list_logical_devices("GPU")[0].name
    with strategy.scope() if strategy else tf.device(name):
        network = _network(config)
        train_step = setups.make_step(network, config.training)
        stream = _stream(config, None if strategy else name)
        if strategy:
            endless = tf.data.Dataset.from_tensors(next(stream)).unbatch().repeat()
            batches = endless.batch(config.training.batch_size)
            stream = iter(strategy.experimental_distribute_dataset(batches))
        found = _timed(train_step, stream, config, 5 if place.small else 50)
    digest = hashlib.sha256()
    for variable in network.variables:
        digest.update(variable.numpy().tobytes())
    yield {**found, "weights": digest.hexdigest()[:16]}


def _timed(train_step, stream, config, count):
    began = time.perf_counter()
    train_step(next(stream), 0)["total"].numpy()
    first = time.perf_counter() - began
    for number in range(1, 4):
        train_step(next(stream), number)["total"].numpy()
    tf.config.experimental.reset_memory_stats("GPU:0")
    host, began = [], time.perf_counter()
    for number in range(4, 4 + count):
        queued = time.perf_counter()
        values = train_step(next(stream), number)
        host.append(time.perf_counter() - queued)
    loss = float(values["total"])
    seconds = (time.perf_counter() - began) / count
    used = _nvidia_smi("memory.used").splitlines()
    return {
        "step ms": 1e3 * seconds,
        "host ms": 1e3 * statistics.median(host),
        "clips/s": config.training.batch_size / seconds,
        "first step s": first,
        "allocated GB": tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30,
        "nvidia-smi GB": int(used[0]) / 1024 if used else None,
        "loss": loss,
    }


def batches(place: Place) -> Values:
    """Double the batch until the memory does not suffice."""
    base, found = _config(place), {}
    yield {"largest batch": 0}
    name = tf.config.list_logical_devices("GPU")[0].name
    for batch in (16, 32, 64, 128, 256, 512)[: 2 if place.small else None]:
        config = _with_batch(base, batch)
        try:
            with tf.device(name):
                step = setups.make_step(_network(config), config.training)
                values = _timed(step, _stream(config, name), config, 5)
        except tf.errors.ResourceExhaustedError:
            return
        del step  # the memory is for the next
        gc.collect()
        found[batch] = {
            key: values[key] for key in ("step ms", "clips/s", "allocated GB")
        }
        yield {"largest batch": batch, "by batch": found}


def gradients(place: Place) -> Values:
    """Compare the gradients on the GPU with those on the CPU, on the same RoIs.

    The least disturbance changes which boxes are proposed, and with them the gradients
    by a percent. The floor is what a disturbance of the weights changes on the CPU.
    """
    config = _config(place, batch=2)
    _need_kernels()
    network, batch = _network(config), setups.batch(config.model, 2)
    with tf.device("CPU:0"):
        features = network.clip_features(batch, training=True)
        counts = (
            config.training.train_proposals_before_nms,
            config.training.train_proposals,
        )
        proposals = network.proposals.decode(features, batch["size"], *counts)
    right = _gradients(network, config, batch, "CPU:0", proposals)
    found: dict[str, dict[str, float]] = {name: {} for name in right}
    for way, size in ROUNDING.items():
        tf.config.experimental.enable_tensor_float_32_execution(way == "TF32")
        for title, changed, device in (
            (way, network, "GPU:0"),
            (f"floor, {way}", _network(config, size), "CPU:0"),
        ):
            for name, vector in _gradients(
                changed, config, batch, device, proposals
            ).items():
                difference = tf.norm(vector - right[name]) / tf.norm(right[name])
                found[name][title] = float(difference)
            yield {"relative difference": found}


def _gradients(network, config, batch, device, proposals):
    """Return {part of the network: its gradients as a vector}."""
    network.proposals.decode = lambda *_: proposals
    parts = {name: part.trainable_variables for name, part in network.parts().items()}
    with tf.device(device):
        with tf.GradientTape() as tape:
            seed = tf.constant([0, 0], tf.int64)
            terms, _ = forward.forward(network, batch, seed, config.training)
            loss = forward.weighted(terms, config.training)["total"]
        found = tape.gradient(loss, parts, unconnected_gradients="zero")
        return {
            name: tf.concat([tf.reshape(x, [-1]) for x in part], 0)
            for name, part in found.items()
        }


def losses(place: Place, on_gpu: bool = True, disturbed: float = 0.0) -> Values:
    """The losses of ten steps, each of two clips."""
    config, found = _config(place, batch=2, on_gpu=on_gpu), []
    train_step = setups.make_step(_network(config, disturbed), config.training)
    stream = _stream(config)
    for number in range(10):
        found.append(float(train_step(next(stream), number)["total"]))
        yield {"losses": found}


def profile(place: Place) -> Values:
    """Launches, scopes, kernels and idle time of steps, by TensorFlow's profiler."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    config = _config(place)
    _need_kernels()  # else the profiler crashes
    train_step, steps = setups.make_step(_network(config), config.training), 5
    stream = _stream(config, tf.config.list_logical_devices("GPU")[0].name)
    for number in range(3):
        train_step(next(stream), number)["total"].numpy()
    folder = place.folder / "trace"
    shutil.rmtree(folder, ignore_errors=True)
    with tf.profiler.experimental.Profile(str(folder)):
        for number in range(steps):
            values = train_step(next(stream), number)
        values["total"].numpy()
    (path,) = folder.rglob("*.xplane.pb")
    yield trace.summary(xplane_pb2.XSpace.FromString(path.read_bytes()), steps)


def command(place: Place, name: str) -> Values:
    """Seconds of a command, its start included; of training also what its last point
    says.
    """
    model, work = setups.read("a2d", place.small).model, place.folder / "work"
    steps, videos = (4, 6) if place.small else (100, 24)
    known = {
        "mini": f"--output={work} --videos={videos}",
        "records": (
            f"--release={work}/Release --output={work}/records --workers=4"
            f" --clip_frames=3 --image_height={model.image_height}"
            f" --image_width={model.image_width}"
        ),
        "train": (
            "--flagfile=configs/a2d.flags "
            + f"--flagfile={setups.TINY} --batch_size=2 " * place.small
            + f"--records={work}/records --workdir={work}/run --steps={steps}"
            f" --warmup_steps=1 --val_fraction=0 --log_every={steps // 2}"
        ),
        "evaluate": (
            f"--records={work}/records --workdir={work}/run --score_threshold=0.3"
        ),
        "export": f"--workdir={work}/run --output={work}/export --score_threshold=0.3",
        "predict": (
            f"--saved_model={work}/export --output={work}/out "
            f"--video={work}/Release/clips320H"
        ),
    }
    ended = processes.run([sys.executable, "-m", "a2d_tf", name, *known[name].split()])
    if ended.status:
        raise InputError(ended.cause)
    found = {"s": ended.seconds}
    if name == "train":
        points = {tag: value for _, tag, _, value in setups.points(work / "run")}
        for figure in ("clips_per_second", "step_ms", "wait_ms"):
            found[figure] = float(tf.make_ndarray(points[f"run/{figure}"]))
    yield found


def prediction(place: Place) -> Values:
    """Frames a second of the export in a video, after it has answered others."""
    from a2d_tf.video.predictor import Predictor

    devices.prepare()
    predictor = Predictor.load(place.folder / "work/export")
    videos = sorted((place.folder / "work/Release/clips320H").glob("*.mp4"))[:4]
    for video in videos[:1] * 2 if place.small else videos:
        began = time.perf_counter()
        frames = sum(1 for _ in predictor.video(video))
        rate = frames / (time.perf_counter() - began)
    yield {"frames/s": rate}
