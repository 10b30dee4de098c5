"""Part of suite `evaluation`: a split of records scored, against the network alone.

Clips of the mini A2D, a network of configs/mini.flags with random weights, which finds the most
instances that there can be. The network alone, and with the losses of a validation, takes the same
batches from memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import tempfile
import time

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import Config
from a2d_tf.core.labels import A2D
from a2d_tf.data import convert, pipeline
from a2d_tf.data import mini as synthetic
from a2d_tf.data.manifest import Manifest
from a2d_tf.data.release import Release
from a2d_tf.evaluation.runner import Evaluator
from a2d_tf.model.network import Network
from a2d_tf.training.forward import make_measure
from tools.benchmarks import measure, setups

_VIDEOS = 100
_GOAL = 0.7  # of the network's rate
_THRESHOLD = 0.1
_LENGTHS = (200, 800)  # frames of the splits whose memory is compared


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: four videos, the smallest network."""
    small = options["small"]
    with tempfile.TemporaryDirectory() as folder:
        manifest = _records(pathlib.Path(folder), small, options["workers"])
        frames = manifest.counts["train"]["records"]
        candidates = _candidates(manifest, folder, small)
        for name, candidate in candidates.items():
            if not name.endswith("first"):
                candidate()  # traces, and reads the files once
        timed = measure.alternate(options["rounds"], candidates)
        rates = {name: [frames / seconds for seconds in runs] for name, runs in timed.items()}
        lengths = (4, 8) if small else _LENGTHS
        memory = [(count, measure.apart(_memory, folder, count, small)) for count in lengths]
    label = "mini, a split"
    rows = [
        measure.row(
            f"{label}: {name}, of the network",
            "frames/s",
            rate,
            alone,
            goal=None if name.endswith("first") else _GOAL,
        )
        for name, rate in rates.items()
        if not name.startswith("network") and (alone := rates["network"])
    ]
    losses = f"{label}: validate, of the network and the losses"
    rows.append(measure.row(losses, "frames/s", rates["validate"], rates["network, losses"]))
    for count, peak in memory:
        rows.append(measure.row(f"{label}: evaluate, peak memory at {count} frames", "GB", peak))
    (few, less), (many, more) = memory
    growth = 1e6 * (more - less) / (many - few)
    rows.append(measure.row(f"{label}: evaluate, memory of a further frame", "kB", growth))
    return rows, {"frames a second": rates, "frames": frames, "frames, gigabytes": memory}


def _records(folder, small, workers):
    """Records of the mini A2D at the size of the network."""
    model = setups.read("mini", small).model
    settings = convert.ConversionSettings(
        image_height=model.image_height, image_width=model.image_width, clip_frames=model.frames
    )
    videos = 4 if small else _VIDEOS
    release = synthetic.make_release(folder / "mini", videos=videos, seed=0, workers=workers)
    convert.convert(Release(release), folder / "records", settings, workers=workers)
    return Manifest.load(folder / "records")


def _config(small):
    """Settings of a network that holds no video out."""
    config = setups.read("mini", small).with_inference(score_threshold=_THRESHOLD)
    return dataclasses.replace(
        config, learning=dataclasses.replace(config.learning, val_fraction=0.0)
    )


def _candidates(manifest: Manifest, folder: str, small: bool) -> dict:
    """{name: function that returns the seconds of the training split}."""
    config = _config(small)
    network = Network(config.model, A2D, config.compute)
    evaluator = Evaluator(network, config, manifest)
    loss = make_measure(network, config.learning)
    validator = Evaluator(network, config, manifest, loss)
    output = os.path.join(folder, "out")

    def alone(evaluator, fields):
        batches = list(
            pipeline.evaluation(
                manifest, "train", config, config.learning.evaluation_batch, fields=fields
            )
        )
        return lambda: [tf.nest.map_structure(np.asarray, evaluator.run(b)) for b in batches]

    ways = {
        "network": alone(evaluator, ("rgb", "flow", "size")),
        "network, losses": alone(validator, pipeline.CLIP),
        "evaluate": lambda: evaluator.evaluate("train", _THRESHOLD, output),
        "validate": lambda: validator.validate("train"),
        "evaluate, first": lambda: Evaluator(network, config, manifest).evaluate(
            "train", _THRESHOLD, output
        ),
        "validate, first": lambda: Evaluator(network, config, manifest, loss).validate("train"),
    }
    return {name: lambda way=way: _seconds(way) for name, way in ways.items()}


def _seconds(way):
    began = time.perf_counter()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # progress bars
        way()
    return time.perf_counter() - began


def _memory(folder, count, small):
    """Gigabytes that a process held at most that evaluates a split of so many frames."""
    config: Config = _config(small)
    evaluator = _Repeated(
        Network(config.model, A2D, config.compute), config, Manifest.load(f"{folder}/records")
    )
    evaluator.count = count
    _seconds(lambda: evaluator.evaluate("train", _THRESHOLD, os.path.join(folder, "apart")))
    return measure.memory()


class _Repeated(Evaluator):
    """Evaluates the first `count` frames of a split that is repeated under other names."""

    count = 0

    def clips(self, split, measured=None):
        again = (super(_Repeated, self).clips(split, measured) for _ in itertools.count())
        clips = (
            functools.partial(_renamed, clip, number)
            for number, clips in enumerate(again)
            for clip in clips
        )
        return itertools.islice(clips, self.count)


def _renamed(clip, number):
    frame = clip()
    video = f"{frame.truth.video}-{number}"
    return dataclasses.replace(frame, truth=dataclasses.replace(frame.truth, video=video))
