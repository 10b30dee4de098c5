"""Suite `stream`: a video's frames one by one, by configs/mini.flags and configs/a2d.flags.

Streaming, a frame passes the backbones once (`serving.ServedNetwork`, `frame` and `key_frame`);
sliding, a clip of 2L + 1 frames passes them for every frame: `serve`, which shares all else with
streaming, and `Network.inference`, which reads actions of every RoI. All find equally much.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.labels import A2D
from a2d_tf.model.network import Network
from a2d_tf.serving.served_network import ServedNetwork
from tools.benchmarks import inputs, measure, setups

_CALLS = {"mini": 5, "a2d": 1}  # per round
_DETECTIONS = 10
_TWO_STREAMS = 2.3  # times one, at most
_FLAT = 1.1  # times the shortest clip, at most
_SLIDING = {"a2d": 2.1}  # times streaming, at least; a small network's heads cost more than it
_LONG = 9  # frames of a longer clip


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: configs/mini.flags alone, at the smallest size."""
    devices.prepare()
    small = options["small"]
    names = ["mini"] if small else list(_CALLS)
    candidates, work = {"peak": measure.peak(small)}, {}
    for name in names:
        config = setups.read(name, small)
        base = config.model
        settings = dataclasses.replace(
            config.inference, score_threshold=0.0, max_detections=_DETECTIONS
        )
        network = Network(base, A2D, config.compute)
        served = ServedNetwork(network, settings)
        calls = {"streaming": _streaming(network, served), **_sliding(network, served)}
        model = tf.function(network.inference(settings))
        clip = {**_clip(network, base.frames), "size": tf.constant([network.image_size])}
        calls["sliding, every RoI's action"] = functools.partial(_detections, model, clip)
        for part, changes in (
            ("one stream", {"use_flow": False}),
            ("longer field", {"temporal_layers": base.temporal_layers + 1}),
        ):
            other = Network(dataclasses.replace(base, **changes), A2D, config.compute)
            calls[part] = _streaming(other, ServedNetwork(other, settings))
        for part, call in calls.items():
            found = int(call()["num_detections"][0])
            if found != _DETECTIONS:
                raise RuntimeError(f"{part}: {found} detections, not {_DETECTIONS}: not alike")
        candidates.update(
            {(name, part): measure.stopwatch(f, _CALLS[name]) for part, f in calls.items()}
        )
        work[name] = _gflop(network, settings)
    results = measure.alternate(options["rounds"], candidates)
    rows = []
    for name in names:
        times = {key[1]: seconds for key, seconds in results.items() if key[0] == name}
        rows += _rows(name, times, work[name], results["peak"])
    return rows, {"detections": _DETECTIONS, "gflop": work, "peak": results["peak"]}


def _clip(network, length):
    height, width = network.image_size
    flow = np.random.default_rng(0).normal(0, 2, (1, length, height, width, 2))
    return {
        "rgb": tf.constant(inputs.frames(length, height, width)[None]),
        "flow": tf.constant(flow, tf.float32),
    }


def _streaming(network, served):
    """A call without arguments that answers on one frame."""
    clip, size = _clip(network, network.model_config.frames), tf.constant(network.image_size)
    frames = [
        {name: x[:, t] for name, x in clip.items()} for t in range(network.model_config.frames)
    ]
    ring = [served.frame(**frame) for frame in frames]

    def streaming():
        ring.append(served.frame(**frames[0]))
        del ring[0]
        return served.key_frame(
            {name: tf.stack([x[name] for x in ring], axis=1) for name in ring[0]}, size
        )

    return streaming


def _sliding(network, served):
    """{way: such a call}."""
    short, long = (_clip(network, length) for length in (network.model_config.frames, _LONG))
    return {
        "sliding": lambda: served.serve(**short),
        "sliding, longer clip": lambda: served.serve(**long),
    }


def _detections(model, clip):
    return model(clip)["detections"]


def _gflop(network, settings):
    """GFLOP of a frame by streaming."""
    model = network.model_config
    parts = setups.gflop(network, settings.test_proposals, _DETECTIONS)
    parts["towers"] /= model.frames
    action = measure.gflop(network.roi_heads, "action")
    parts["roi_heads"] -= (settings.test_proposals - _DETECTIONS) * action
    return sum(parts.values())


def _rows(name, times, work, peaks):
    ours = times["streaming"]

    def against(other):
        return [a / b for a, b in zip(ours, times[other])]

    return [
        measure.peak_row(f"{name}: a frame", work, ours, peaks),
        measure.limit_row(f"{name}: two streams", "times one", against("one stream"), _TWO_STREAMS),
        measure.time_row(f"{name}: a frame, sliding", ours, times["sliding"], _SLIDING.get(name)),
        measure.time_row(
            f"{name}: a frame, sliding with every RoI's action",
            ours,
            times["sliding, every RoI's action"],
            _SLIDING.get(name),
        ),
        measure.limit_row(
            f"{name}: a clip of {_LONG} frames",
            "times the shortest",
            [a / b for a, b in zip(times["sliding, longer clip"], times["sliding"])],
            _FLAT,
        ),
        measure.time_row(f"{name}: a frame, one temporal layer more", ours, times["longer field"]),
    ]
