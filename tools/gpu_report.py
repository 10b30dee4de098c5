"""Measure training on this machine's NVIDIA GPU, for a report to send to the project.

  python tools/gpu_report.py --output=gpu_report

About twenty minutes. Every row runs in a process of its own, within --limit_s, and is written to
OUTPUT/rows as it ends; run again, the command goes on with the rows that are missing. At the end
OUTPUT/report.html and report.json hold everything; send both. Without a GPU the rows that need one
say so, and the others run.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
from typing import Any, Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from a2d_tf.core import command_line, devices
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import load_json, write_json, write_text

_ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = command_line.Register()
_OUTPUT = FLAGS.string("output", None, "Folder for the report.")
_SMALL = FLAGS.bool("small", False, "Sizes that show only that the rows work.")
_LIMIT = FLAGS.integer("limit_s", 240, "Most seconds of a row.", 1)
_ONLY = FLAGS.list("only", [], "Rows to measure whose names begin so; by default all.")
_ROW = FLAGS.string("row", None, "The one row to measure here; the report starts these.")

_PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def rows() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return {row: (name of its function here, its arguments)}, in their order."""
    steps: dict[str, dict[str, Any]] = {}
    for name, precision in _PRECISIONS.items():
        for deterministic in (True, False):
            for layout in (False, True):
                words = [name, *["free"] * (not deterministic), *["layout optimizer"] * layout]
                change = dict(precision=precision, deterministic=deterministic, layout=layout)
                steps[", ".join(words)] = change
    for batch in (16, 32):
        steps[f"float32, batch {batch}"] = {"batch": batch}
    for count in range(2, len(devices.nvidia_cards()) + 1):
        steps[f"mirrored, {count} GPUs"] = {"replicas": count}
    return {
        "machine": ("machine", {}),
        "gradients, TF32 off": ("gradients", {"tf32": False}),
        "gradients, TF32 on": ("gradients", {"tf32": True}),
        "same bits, first process": ("bits", {}),
        "same bits, second process": ("bits", {}),
        **{f"step: {name}": ("step", change) for name, change in steps.items()},
        "kernels of a step": ("kernels", {}),
        **{f"command: {name}": ("command", {"name": name}) for name in _COMMANDS},
    }


_COMMANDS = {
    "records": "{a2d} mini --output={work}/mini --videos={videos} && {a2d} "
    "records --release={work}/mini/Release --output={work}/records --workers=4 "
    "--clip_frames=3 --image_height={height} --image_width={width}",
    "train": "{a2d} train {flags} --records={work}/records --workdir={work}/run "
    "--steps={steps} --warmup_steps=1 --val_fraction=0 --validate_every={steps} "
    "--checkpoint_every={steps}",
    "evaluate": "{a2d} evaluate --records={work}/records --workdir={work}/run --split=test "
    "--score_threshold=0.3",
    "export": "{a2d} export --workdir={work}/run --output={work}/export --score_threshold=0.3",
    "predict": "{a2d} predict --saved_model={work}/export --output={work}/predicted "
    "--video={video}",
}
"""Commands whose seconds are a row each."""


def _flags() -> list[str]:
    words = [f"--flagfile={_ROOT}/configs/a2d.flags"]
    if _SMALL.value:
        from tools.benchmarks import setups

        words += [f"--{name}={value}" for name, value in setups.SMALLEST.items()]
        words.append("--batch_size=2")
    return words


def _config(precision="float32", deterministic=True, batch=8):
    """Return the Config of a row, and the GPUs that it runs on."""
    from a2d_tf.core.config import Config

    words = [*_flags(), f"--precision={precision}", f"--deterministic={str(deterministic).lower()}"]
    words += [f"--batch_size={batch}"] * (not _SMALL.value)
    config = Config.parse(words)
    return config, devices.prepare("auto", deterministic)


def machine() -> dict:
    """Return what the machine and its software are."""
    from tools.benchmarks import measure

    words = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap,power.limit"]
    told = ""
    if shutil.which("nvidia-smi"):
        told = subprocess.run([*words, "--format=csv"], capture_output=True, text=True).stdout
    packages = importlib.metadata.distributions()
    versions = sorted(f"{found.metadata['Name']}=={found.version}" for found in packages)
    return {**measure.machine(), "nvidia-smi": told, "packages": " ".join(versions)}


def _step_and_batch(config, device):
    """Return the compiled step, batches on the device, and the network."""
    import tensorflow as tf

    from a2d_tf.core.labels import A2D
    from a2d_tf.model.network import Network
    from a2d_tf.training import replicas
    from tools.benchmarks import setups

    model, training = config.model, config.training
    tf.keras.utils.set_random_seed(0)
    network = Network(model, A2D, config.compute)
    batch = setups.clips(
        training.batch_size, model.frames, model.image_height, model.image_width, instances=3
    )
    dataset = tf.data.Dataset.from_tensors(replicas.for_device(batch)).cache().repeat()
    if device:
        dataset = dataset.apply(tf.data.experimental.prefetch_to_device(device, 2))
    return setups.make_step(network, training), iter(dataset), network


def step(layout: bool = False, replicas: int = 1, **options: Any) -> dict:
    """Time steps on prefetched batches: host and whole milliseconds, the first step, memory."""
    import tensorflow as tf

    config, found = _config(**options)
    _need_gpu(found)
    tf.config.optimizer.set_experimental_options({"layout_optimizer": layout})
    strategy = tf.distribute.MirroredStrategy() if replicas > 1 else None
    names = [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    with strategy.scope() if strategy else tf.device(names[0]):
        train_step, stream, _ = _step_and_batch(config, None if strategy else names[0])
        if strategy:
            batch = next(stream)
            stream = iter(strategy.experimental_distribute_dataset(_endless(batch)))
        began = time.perf_counter()
        train_step(next(stream), 0)["total"].numpy()
        first = time.perf_counter() - began
        for number in range(1, 4):
            train_step(next(stream), number)["total"].numpy()
        tf.config.experimental.reset_memory_stats("GPU:0")
        count, host = 5 if _SMALL.value else 50, []
        began = time.perf_counter()
        for number in range(4, 4 + count):
            queued = time.perf_counter()
            values = train_step(next(stream), number)
            host.append(time.perf_counter() - queued)
        values["total"].numpy()
        seconds = (time.perf_counter() - began) / count
    return {
        "step ms": 1e3 * seconds,
        "host ms": 1e3 * statistics.median(host),
        "clips/s": config.training.batch_size / seconds,
        "first step s": first,
        "peak GB": tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30,
    }


def _endless(batch):
    import tensorflow as tf

    return tf.data.Dataset.from_tensors(batch).unbatch().repeat().batch(len(batch["rgb"]))


def gradients(tf32: bool) -> dict:
    """Compare the gradients of one batch on the GPU with those on the CPU."""
    import tensorflow as tf

    from a2d_tf.training import forward
    from tools.benchmarks import setups

    config, found = _config(batch=2)
    _need_gpu(found)
    if float(tf.reduce_sum(tf.range(3.0))) != 3.0:
        raise InputError("not comparable: the kernels of this GPU compute nothing")
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    _, _, network = _step_and_batch(config, None)
    model, training = config.model, config.training
    batch = setups.clips(2, model.frames, model.image_height, model.image_width, instances=3)
    vectors = []
    for device in ("CPU:0", "GPU:0"):
        with tf.device(device), tf.GradientTape() as tape:
            terms, _ = forward.forward(network, batch, tf.constant([0, 0], tf.int64), training)
            loss = forward.weighted(terms, training)["total"]
        found_gradients = tape.gradient(loss, network.trainable_weights, None, "zero")
        vectors.append(tf.concat([tf.reshape(part, [-1]) for part in found_gradients], 0))
    cpu, gpu = vectors
    return {"relative difference": float(tf.norm(gpu - cpu) / tf.norm(cpu))}


def bits() -> dict:
    """Return the digest of the weights after three steps."""
    config, found = _config()
    _need_gpu(found)
    train_step, stream, network = _step_and_batch(config, "GPU:0")
    for number in range(3):
        train_step(next(stream), number)
    digest = hashlib.sha256()
    for variable in network.variables:
        digest.update(variable.numpy().tobytes())
    return {"sha256": digest.hexdigest()}


def kernels() -> dict:
    """Count the launches of a step and the share of its time without a kernel, by the profiler."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    config, found = _config()
    _need_gpu(found)
    train_step, stream, _ = _step_and_batch(config, "GPU:0")
    for number in range(3):
        train_step(next(stream), number)["total"].numpy()
    folder, steps = os.path.join(_OUTPUT.value, "trace"), 5
    began = time.perf_counter()
    with tf.profiler.experimental.Profile(folder):
        for number in range(steps):
            values = train_step(next(stream), number)
        values["total"].numpy()
        seconds = time.perf_counter() - began
    launches, busy = 0, 0.0
    for path in pathlib.Path(folder).rglob("*.xplane.pb"):
        for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
            lines = plane.lines if plane.name.startswith("/device:GPU") else []
            for line in lines:
                if line.name.startswith("Stream"):
                    launches += len(line.events)
                    busy += sum(event.duration_ps for event in line.events) / 1e12
    return {
        "launches a step": launches / steps,
        "kernels' ms a step": 1e3 * busy / steps,
        "idle share, traced": max(0.0, 1 - busy / seconds),
    }


def command(name: str) -> dict:
    """Time a command of the project, its start included."""
    work = os.path.abspath(os.path.join(_OUTPUT.value, "work"))
    sides = (64, 96) if _SMALL.value else (256, 256)
    videos = sorted(pathlib.Path(work, "mini/Release/clips320H").glob("*.mp4"))
    text = _COMMANDS[name].format(
        a2d=f"{sys.executable} -m a2d_tf",
        work=work,
        flags=" ".join(_flags()),
        height=sides[0],
        width=sides[1],
        videos=6 if _SMALL.value else 24,
        steps=2 if _SMALL.value else 100,
        video=videos[0] if videos else "",
    )
    began = time.perf_counter()
    done = subprocess.run(text, shell=True, cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])
    return {"s": time.perf_counter() - began}


def _need_gpu(found):
    if not found:
        raise InputError("needs a GPU")


def _measured(name: str) -> dict:
    """Return a row: measured here in a process of its own, or the reason why it is not."""
    path = os.path.join(_OUTPUT.value, "rows", re.sub(r"[^\w.]+", "_", name) + ".json")
    if os.path.exists(path):
        return load_json(path, {"row": str}, "remove it")
    words = [f"--output={_OUTPUT.value}", f"--row={name}", *["--small"] * _SMALL.value]
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, __file__, *words], capture_output=True, text=True, timeout=_LIMIT.value
        )
        lines = done.stdout.splitlines()
        if done.returncode == 0 and lines:
            found = {"row": name, "values": json.loads(lines[-1])}
        else:
            said = done.stderr.splitlines()
            errors = [line for line in said if line.startswith("error: ")]  # not TensorFlow's log
            reason = (errors or [done.stderr[-1500:].strip()])[-1]
            reason = reason or f"ended with status {done.returncode}"
            found = {"row": name, "reason": reason}
    except subprocess.TimeoutExpired:
        found = {"row": name, "reason": f"took more than --limit_s={_LIMIT.value}"}
    found["seconds"] = time.monotonic() - began
    write_json(path, found)
    return found


def _report(found: list[dict]) -> None:
    """Write report.json and report.html."""
    from a2d_tf.evaluation.reports import pages

    def shown(value):
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    cells, texts = [], []
    for row in found:
        values = row.get("values", {})
        if row["row"] == "machine" and values:  # too long for a cell
            texts = [("Text", pages.Text(f"{name}: {text}")) for name, text in values.items()]
            continue
        text = "; ".join(f"{name} {shown(value)}" for name, value in values.items())
        cells.append([row["row"], text or row["reason"].splitlines()[-1]])
    table = pages.HtmlTable(("row", "measured, or why not"), cells)
    write_json(os.path.join(_OUTPUT.value, "report.json"), found)
    title = "Training on a GPU"
    page = pages.render("base.html", title, blocks=[("HtmlTable", table), *texts])
    write_text(os.path.join(_OUTPUT.value, "report.html"), page)


def main(argv: list[str]) -> None:
    command_line.require(argv, output=_OUTPUT.value)
    known = rows()
    if _ROW.value:
        function, options = known[_ROW.value]
        measure: Callable = globals()[function]
        print(json.dumps(measure(**options)))
        return
    found = []
    for name in known:
        if _ONLY.value and not name.startswith(tuple(_ONLY.value)):
            continue
        row = _measured(name)
        found.append(row)
        told = row.get("values") or row["reason"].splitlines()[-1]
        print(f"{name}: {told}"[:160], flush=True)
    _report(found)
    print(f"{_OUTPUT.value}/report.html: send it with report.json")


if __name__ == "__main__":
    command_line.run(main, FLAGS)
