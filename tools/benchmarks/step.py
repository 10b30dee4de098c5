"""Suite `step`: a training step of configs/mini.flags and of configs/a2d.flags, and its parts.

The latter with one clip a step, for its ResNet-101 takes a while on a CPU. Parts are timed apart,
with gradients of all weights and of what the part reads, so that added up they give the step.
"""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
import tempfile
import time

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.labels import A2D
from a2d_tf.data import convert
from a2d_tf.data import mini as synthetic
from a2d_tf.data.release import Release
from a2d_tf.model import fpn
from a2d_tf.model.network import Network
from a2d_tf.training import forward, optimizer, targets
from tools.benchmarks import inputs, measure, roofline, setups

_STEPS = {"mini": 20, "a2d": 6}  # fed by the pipeline, per round
_CALLS = {"mini": 5, "a2d": 1}  # of a part, per round
_VIDEOS = 6
_WAIT = 2.0  # percent of the step
_OTHERWISE = {
    "step in bfloat16": {"precision": "mixed_bfloat16"},
    "step, recomputed": {"recompute": True},
}
_HALF = 1.6  # times faster in bfloat16
_DRAWN = {
    "towers, forward": (1, ("towers",)),
    "towers": (3, ("towers",)),
    "context and proposal heads": (3, ("context", "rpn")),
}
"""What is timed and drawn: (times the work of a forward pass, parts of the network)."""
_ZERO = np.zeros([], np.int64)  # no tensor: devices are prepared first


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: configs/mini.flags alone, at the smallest size, no memory."""
    devices.prepare()
    small, rows = options["small"], []
    names = ["mini"] if small else list(_STEPS)
    memories = (
        {}
        if small
        else {
            name: [measure.apart(_memory, name, twice) for twice in (False, True)] for name in names
        }
    )
    candidates = {"peak": measure.peak(small), "bandwidth": measure.bandwidth(small)}
    work, intensities = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        release = synthetic.make_release(
            folder, 2 if small else _VIDEOS, seed=0, workers=options["workers"]
        )
        for name in names:
            config = _config(name, small)
            network, opt, step = _build(config)
            batch = _batch(config, config.learning.batch_size)
            calls = {"step": lambda step=step, batch=batch: step(batch, _ZERO)}
            calls.update(_parts(network, opt, config, batch))
            for label, changes in _OTHERWISE.items():
                changed = _build(config, **changes)[2]
                calls[label] = lambda step=changed, batch=batch: step(batch, _ZERO)
            for part, call in calls.items():
                candidates[name, part] = measure.stopwatch(call, _CALLS[name])
            candidates[name, "fed"] = _fed(
                step,
                _records(release, f"{folder}/{name}", config),
                config,
                batch,
                2 if small else _STEPS[name],
            )
            work[name] = _work(network, config)
            intensities[name] = _intensities(network)
        results = measure.alternate(options["rounds"], candidates)
    for name in names:
        times = {key[1]: result for key, result in results.items() if key[0] == name}
        rows += _rows(
            name, _config(name, small), times, work[name], results["peak"], memories.get(name)
        )
    if options["charts"]:
        points = {}
        for name in names:
            points.update(_points(name, results, work[name], intensities[name]))
        roofline.chart(points, results["peak"], results["bandwidth"], options["charts"])
    limits = {name: results[name] for name in ("peak", "bandwidth")}
    return rows, {"gflop": work, "flop_a_byte": intensities, "memory_gb": memories, **limits}


def _config(name, small):
    """The settings, with a rate of zero: an update is computed, and the weights stay."""
    config = setups.read(name, small)
    batch = 1 if name == "a2d" else config.learning.batch_size
    changed = dataclasses.replace(config.learning, learning_rate=0.0, batch_size=batch)
    return dataclasses.replace(config, learning=changed)


def _build(config, precision="float32", recompute=False):
    compute = dataclasses.replace(config.compute, precision=precision)
    network = Network(config.model, A2D, compute, recompute)
    return (network, *setups.make_step(network, config.learning))


def _batch(config, clips):
    model = config.model
    size, instances = (model.image_height, model.image_width), config.learning.max_instances
    return inputs.labelled(clips, model.frames, *size, instances=instances)


def _memory(name, recompute):
    """Gigabytes of a process that trains, on a batch and on one twice as large."""
    devices.prepare()
    config, peaks = _config(name, small=False), []
    clips = config.learning.batch_size
    most = dataclasses.replace(config.learning, batch_size=2 * clips)
    step = _build(dataclasses.replace(config, learning=most), recompute=recompute)[2]
    for count in (clips, 2 * clips):
        step(_batch(config, count), _ZERO)
        peaks.append(measure.memory())
    return peaks


def _work(network, config):
    """{part: GFLOP} of a batch's forward pass."""
    samples = config.learning.roi_samples
    masks = targets.most_positives(samples, config.learning.positive_fraction)
    parts = setups.gflop(network, samples, masks)
    return {part: config.learning.batch_size * gflop for part, gflop in parts.items()}


def _intensities(network):
    """{what is drawn: FLOP a byte} of its layers forward; their gradients have much the same."""
    models, found = network.parts(), {}
    for drawn, (_, parts) in _DRAWN.items():
        work = sum(measure.gflop(models[part]) for part in parts)
        found[drawn] = work / sum(measure.traffic(models[part]) for part in parts)
    return found


def _points(name, times, work, intensities):
    """{label: (FLOP a byte, GFLOP/s)} for the roofline."""
    return {
        f"{name}: {drawn}": (
            intensities[drawn],
            often * sum(work[part] for part in parts) / statistics.median(times[name, drawn]),
        )
        for drawn, (often, parts) in _DRAWN.items()
    }


def _parts(network, opt, config, batch):
    """{part: compiled call}; the first is part of the second, the others add up to a step."""
    frames, middle = config.model.frames, config.model.temporal_layers
    clip = {
        name: tf.reshape(batch[name], [-1, *batch[name].shape[2:]]) for name in network.towers.input
    }
    pyramids = {
        name: [tf.reshape(x, [-1, frames, *x.shape[1:]]) for x in levels]
        for name, levels in network.towers(clip).items()
    }
    key = [x[:, middle] for x in pyramids["actor"]]
    around = {name: levels for name, levels in pyramids.items() if name != "actor"}
    given = dict(zip(("rpn_logits", "rpn_deltas"), network.rpn(key)))
    given.update(actor=key, action=network.context(around))

    def look():
        return network.rpn(key), network.context(around)

    def propose():
        learning = config.learning
        return fpn.propose(
            given["rpn_logits"],
            given["rpn_deltas"],
            network.anchors,
            batch["size"],
            coder=network.rpn_coder,
            before_nms=learning.before_nms,
            after_nms=learning.train_proposals,
        )

    def losses():
        terms, _ = forward.forward(
            _Given(network, given), batch, tf.constant([0, 0]), config.learning, training=True
        )
        return forward.weighted(terms, config.learning)["total"]

    towers, heads = [network.towers], [network.roi_heads, network.mask_head]
    gradients = [tf.ones_like(weight) for weight in network.trainable_weights]

    def update():
        weights = network.trainable_weights
        clipped, _ = optimizer.clipped(gradients, config.learning.clip_norm)
        pairs = zip(clipped, weights)
        opt.apply_gradients(pairs, decay_var_list=optimizer.decaying(weights))

    return {
        "towers, forward": tf.function(lambda: network.towers(clip, training=True)),
        "towers": _learn(lambda: network.towers(clip, training=True), towers, []),
        "context and proposal heads": _learn(look, [network.rpn, network.context], [key, around]),
        "proposals, heads and losses": _learn(losses, heads, given),
        "clipping and update": tf.function(update),
        "top-k and NMS": tf.function(propose),
    }


class _Given:
    """A network whose features are there already."""

    def __init__(self, network, features):
        self._network = network
        self.features = lambda clip, training: features
        self.features.input_names = ()

    def __getattr__(self, name):
        return getattr(self._network, name)


def _learn(function, models, tensors):
    """Compiled: a function, and the gradients of its mean square.

    Args:
      models: whose weights have gradients; tensors: likewise, in any nest.
    """

    @tf.function
    def both():
        sources = [w for model in models for w in model.trainable_variables]
        sources += tf.nest.flatten(tensors)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            outputs = tf.nest.flatten(function())
            loss = tf.add_n([tf.reduce_mean(tf.square(x)) for x in outputs])
        return tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return both


def _records(release, folder, config):
    model = config.model
    settings = convert.ConversionSettings(
        image_height=model.image_height, image_width=model.image_width, clip_frames=model.frames
    )
    return convert.convert(Release(pathlib.Path(release)), folder, settings, workers=1)[0]


def _fed(step, manifest, config, alike, steps):
    """A candidate: (percent of the time spent waiting for batches, seconds a step).

    Args:
      alike: a batch, of whose names the step has seen no more.
    """
    stream = iter(setups.batches(manifest, config))
    next(stream)  # pays for what is done once

    def once():
        waited, began = 0.0, time.perf_counter()
        for _ in range(steps):
            before = time.perf_counter()
            batch = next(stream)
            waited += time.perf_counter() - before
            float(step({name: batch[name] for name in alike}, _ZERO)["total"])
        elapsed = time.perf_counter() - began
        return 100 * waited / elapsed, elapsed / steps

    return once


def _rows(name, config, times, work, peaks, memory):
    clips, frames = config.learning.batch_size, config.model.frames
    label = f"{name} ({clips} clip{'s' if clips > 1 else ''})"
    waits, fed = map(list, zip(*times["fed"]))
    step, towers = times["step"], work["towers"]
    parts = list(
        zip(
            *(
                times[part]
                for part in (
                    "towers",
                    "context and proposal heads",
                    "proposals, heads and losses",
                    "clipping and update",
                )
            )
        )
    )
    rows = [
        measure.peak_row(f"{label}: step", 3 * sum(work.values()), step, peaks),
        measure.time_row(f"{label}: step, its parts added up", step, [sum(x) for x in parts]),
        measure.peak_row(f"{label}: towers, forward", towers, times["towers, forward"], peaks),
        measure.peak_row(f"{label}: towers", 3 * towers, times["towers"], peaks),
    ]
    rows += [
        measure.time_row(f"{label}: {part}, of the step", seconds, step)
        for part, seconds in times.items()
        if part not in ("step", "fed", *_OTHERWISE)
    ]
    for part, seconds in ((part, times[part]) for part in _OTHERWISE):
        goal = _HALF if "bfloat16" in part else None
        rows.append(measure.time_row(f"{label}: {part}, by step", seconds, step, goal))
    for suffix, (one, two) in zip(("", ", recomputed"), memory or ()):
        further = (two - one) / (clips * frames)
        rows.append(
            measure.row(f"{label}: memory of a further frame of each stream{suffix}", "GB", further)
        )
    return rows + [
        measure.time_row(f"{label}: step fed by the pipeline, by one batch", fed, step),
        measure.limit_row(f"{label}: input wait", "% of the step", waits, _WAIT),
    ]
