"""Suite `step`: a training step of configs/mini.flags and of configs/a2d.flags, beside the peak.

The latter has one clip a step, because its ResNet-101 takes a while on a CPU.
"""

from __future__ import annotations

import dataclasses

from a2d_tf.core import devices
from a2d_tf.core.labels import A2D
from a2d_tf.model.network import Network
from tools.benchmarks import measure, setups

_CALLS = {"mini": 5, "a2d": 1}  # per round
_WAYS = {"step": {}, "step in bfloat16": {"precision": "mixed_bfloat16"}}


def run(options: dict) -> tuple[list[dict], dict]:
    """Return rows and details; `small`: configs/mini.flags alone, at the smallest size."""
    devices.prepare()
    small = options["small"]
    candidates, work = {"peak": measure.peak(small)}, {}
    for name in ["mini"] if small else _CALLS:
        config = setups.read(name, small)
        clips = 1 if name == "a2d" else config.training.batch_size
        # A rate of zero: an update is computed, and the weights stay.
        training = dataclasses.replace(config.training, learning_rate=0.0, batch_size=clips)
        for way, changes in _WAYS.items():
            network = Network(config.model, A2D, dataclasses.replace(config.compute, **changes))
            call = _call(network, training)
            candidates[name, way] = measure.stopwatch(call, _CALLS[name])
        work[name] = setups.step_gflop(network, training)
    results = measure.alternate(options["rounds"], candidates)
    rows = []
    for name, gflop in work.items():
        step = results[name, "step"]
        rows.append(measure.time_row(f"{name}: step", step))
        rows.append(measure.peak_row(f"{name}: step", gflop, step, results["peak"]))
        for way in list(_WAYS)[1:]:
            rows.append(measure.time_row(f"{name}: {way}, by step", results[name, way], step))
    return rows, {"gflop": work, "peak": results["peak"]}


def _call(network, training):
    model, step = network.model_config, setups.make_step(network, training)
    size, instances = (model.image_height, model.image_width), training.max_instances
    batch = setups.clips(training.batch_size, model.frames, *size, instances=instances)
    return lambda: step(batch, 0)
