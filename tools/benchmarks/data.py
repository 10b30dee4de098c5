"""Suite `data`: conversion, the input pipeline beside a training step."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
import time

import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.data import convert, records
from a2d_tf.data import mini as synthetic
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Release
from a2d_tf.model.network import Network
from a2d_tf.training.replicas import for_device
from tools.benchmarks import measure, setups

_PAPER = convert.ConversionSettings(shard_videos=4)
_MINI = convert.ConversionSettings(image_height=128, image_width=160, clip_frames=3, shard_videos=4)


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details, on a drawn A2D; `small`: of four videos."""
    config, workers = setups.read("mini", options["small"]), options["workers"]
    devices.prepare(deterministic=config.training.deterministic)
    with tempfile.TemporaryDirectory() as name:
        folder, videos = pathlib.Path(name), 4 if options["small"] else options["videos"]
        release = synthetic.make_release(folder, videos, seed=0, workers=workers)
        source, seconds = Release(release), []
        for number in range(options["rounds"]):
            began = time.perf_counter()
            convert.convert(source, folder / f"paper{number}", _PAPER, workers)
            seconds.append(time.perf_counter() - began)
        paper = Manifest.load(folder / "paper0")
        mini = convert.convert(source, folder / "mini", _MINI, workers)[0]
        rates = _rates(mini, paper, config, options)
    frames = _PAPER.clip_frames * sum(count["records"] for count in paper.counts.values())
    name = f"conversion, {workers} workers, their start included"
    rows = [measure.row(name, "frames/s", [frames / s for s in seconds])]
    step = rates.pop("training step of configs/mini.flags")
    for stage, rate in rates.items():
        peer = step if stage == "mini: training batches" else None
        rows.append(measure.row(stage, "clips/s", rate, peer, higher_is_better=True))
    return rows, {"frames": frames}


def _rates(mini, paper, config, options):
    """{stage: clips a second, one per round}: read, decoded, as training gets them, trained."""
    count, batch = 16 if options["small"] else 64, config.training.batch_size
    candidates = {}
    for name, manifest, sizes in (("mini", mini, _MINI), ("paper", paper, _PAPER)):
        model = dataclasses.replace(
            config.model,
            image_height=sizes.image_height,
            image_width=sizes.image_width,
            temporal_layers=(manifest.clip_frames - 1) // 2,
        )
        serialized = tf.data.TFRecordDataset(manifest.shards("train")).repeat()
        decoded = serialized.map(records.parse, os.cpu_count())
        fed = setups.batches(manifest, dataclasses.replace(config, model=model))
        for stage, data, size in (
            ("read", serialized, 1),
            ("decoded", decoded, 1),
            ("training batches", fed, batch),
        ):
            candidates[f"{name}: {stage}"] = _rate(data, size, count)
    network = Network(config.model, mini.label_space, config.compute)
    step = setups.make_step(network, config.training)
    clip = for_device(next(iter(setups.batches(mini, config))))
    seconds = measure.stopwatch(lambda: step(clip, 0), 5)
    candidates["training step of configs/mini.flags"] = lambda: batch / seconds()
    return measure.alternate(options["rounds"], candidates)


def _rate(dataset, size, clips):
    """A candidate: elements x size a second, after a first one that pays for what is done once."""
    calls = max(clips // size, 1)

    def once():
        stream = iter(dataset)
        next(stream)
        began = time.perf_counter()
        for _ in range(calls):
            next(stream)
        return calls * size / (time.perf_counter() - began)

    return once
