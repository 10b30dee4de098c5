"""Suite `scaling`: time and memory against frames, instances, image area and video length.

Each sweep doubles one of them, in a process of its own, with configs/mini.flags or what scores. The
exponent is that of cost ~ size ** exponent through the three largest sizes; 1 is linear. Memory is
what the process grows by, from before the smallest size on.
"""

from __future__ import annotations

import dataclasses
import os
import re

import matplotlib
import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.labels import A2D
from a2d_tf.evaluation import detection
from a2d_tf.model.network import Network
from a2d_tf.serving.served_network import ServedNetwork
from a2d_tf.training import run_folder
from a2d_tf.video import streaming
from a2d_tf.video.predictor import Predictor
from tools.benchmarks import evaluation, inputs, measure, setups

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

_LINEAR = 1.1  # an exponent that still counts as linear, for all that is measured
_LEAST = 1.0  # megabytes: less is noise
_DETECTIONS = 10
_ROIS = 100


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: the two smallest sizes of three sweeps."""
    rows, details = [], {}
    small = options["small"]
    for name in _QUICK if small else SWEEPS:
        sizes = SWEEPS[name][1][: 2 if small else None]
        points = measure.apart(_sweep, name, sizes, options["rounds"])
        details[name] = {"sizes": sizes, **points}
        for cost, values in points.items():
            exponent = details[name][f"{cost} exponent"] = _exponent(sizes, values)
            rows.append(
                measure.limit_row(f"{name}: {cost}", "exponent", max(exponent, 0.01), _LINEAR)
            )
        if options["charts"]:
            _chart(name, details[name], options["charts"])
    return rows, details


def _sweep(name, sizes, rounds):
    """{cost: one figure per size}."""
    devices.prepare()
    seconds, megabytes, before = [], [], None
    for call in SWEEPS[name][0](sizes):
        before = before or measure.memory(most=False)
        seconds.append(measure.stopwatch(call, rounds)())
        megabytes.append(max(1e3 * (measure.memory() - before), _LEAST))
    return {"seconds": seconds, "megabytes": megabytes}


def _exponent(sizes, values):
    return float(np.polyfit(np.log(sizes[-3:]), np.log(values[-3:]), 1)[0])


def _chart(name, found, folder):
    """A PNG with both costs over the size, and the fitted lines."""
    sizes = np.array(found["sizes"], float)
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4))
    for axis, cost in zip(axes, ("seconds", "megabytes")):
        values, exponent = np.array(found[cost]), found[f"{cost} exponent"]
        middle = np.exp(np.mean(np.log(values[-3:]) - exponent * np.log(sizes[-3:])))
        axis.loglog(sizes, values, "o")
        axis.loglog(sizes, middle * sizes**exponent, "-", label=f"size ** {exponent:.2f}")
        axis.set(xlabel=name.split(", ")[1], ylabel=cost)
        axis.legend()
    figure.suptitle(name)
    figure.tight_layout()
    os.makedirs(folder, exist_ok=True)
    figure.savefig(os.path.join(folder, re.sub(r"\W+", "_", name) + ".png"), dpi=100)
    pyplot.close(figure)


def _step(most):
    """(a function of clips, so many at most, and instances -> call of a training step)."""
    config = setups.read("mini")
    model = config.model
    still = dataclasses.replace(config.learning, learning_rate=0.0, batch_size=most)
    step = setups.make_step(Network(model, A2D, config.compute), still)[1]

    def of(clips, instances):
        batch = inputs.labelled(
            clips, model.frames, model.image_height, model.image_width, instances=instances
        )
        return lambda: step(batch, tf.constant(0, tf.int64))

    return of


def _clips(sizes):
    step = _step(max(sizes))
    return (step(size, 8) for size in sizes)


def _instances(sizes):
    # A step of its own each: one that has seen two numbers of rows would leave it open.
    return (_step(1)(1, size) for size in sizes)


def _served(side=None, detections=_DETECTIONS):
    """The run of a network with random weights, which finds so many instances in any frame."""
    config = setups.read("mini").with_inference(score_threshold=0.0, max_detections=detections)
    if side:
        model = dataclasses.replace(config.model, image_height=side, image_width=side)
        config = dataclasses.replace(config, model=model)
    model = config.model
    facts = dict(
        flow_method="dis",
        image_height=model.image_height,
        image_width=model.image_width,
        clip_stride=1,
    )
    return run_folder.Run(config, Network(model, A2D, config.compute), facts, "random")


def _answer(run):
    """A call that answers on one clip."""
    served = ServedNetwork(run.network, run.config.inference)
    frames, size = run.config.model.frames, run.network.image_size
    rgb = tf.constant(inputs.frames(frames, *size)[None])
    flow = tf.zeros([1, frames, *size, 2])
    return lambda: served.serve(rgb, flow)


def _found(sizes):
    return (_answer(_served(detections=size)) for size in sizes)


def _areas(sizes):
    return (_answer(_served(side=int(size**0.5))) for size in sizes)


def _lengths(sizes):
    run = _served()
    predictor = Predictor.from_run(run)
    frame = inputs.frames(1, *run.network.image_size)[0]

    def watch(length):
        frames = (np.roll(frame, i, axis=1) for i in range(length))
        for _ in streaming.answers(predictor, frames):
            pass

    return (lambda size=size: watch(size) for size in sizes)


def _label_maps(sizes):
    pairs = evaluation.label_maps(16)
    return (
        lambda size=size: evaluation.score_maps(pairs[i % 16] for i in range(size))
        for size in sizes
    )


def _boxes(sizes):
    def score(size):
        truth = evaluation.truth_of(size)
        found = evaluation.detections_of(truth, _ROIS)
        return lambda: detection.metrics_of(found, truth, A2D)

    return map(score, sizes)


def _doubled(first, count):
    return [first * 2**i for i in range(count)]


SWEEPS = {
    "training step, clips": (_clips, _doubled(1, 5)),
    "training step, instances of a frame": (_instances, _doubled(5, 5)),
    "a clip answered, instances found": (_found, _doubled(5, 5)),
    "a clip answered, pixels of a frame": (_areas, [side**2 for side in (64, 128, 256, 384, 512)]),
    "streaming, frames of the video": (_lengths, _doubled(8, 5)),
    "label maps scored, frames": (_label_maps, _doubled(100, 5)),
    "boxes scored, frames": (_boxes, _doubled(25, 5)),
}
"""Name -> (function: sizes -> iterable of calls, sizes); the name ends with what is swept."""

_QUICK = ("training step, clips", "label maps scored, frames", "boxes scored, frames")
