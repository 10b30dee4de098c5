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
_SLIDING = {"a2d, sliding": 1.7, "a2d, sliding, every RoI's action": 2.1}
"""Network and way -> how many times as long as streaming it shall take: .85 of what the
work allows. The heads of a small network cost more than its towers."""
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
    """{way: GFLOP of a frame}; sliding passes each frame's neighbours through the towers again."""
    model = network.model_config
    parts = setups.gflop(network, settings.test_proposals, _DETECTIONS)
    tower = parts["towers"] / model.frames
    others = (settings.test_proposals - _DETECTIONS) * measure.gflop(network.roi_heads, "action")
    every = sum(parts.values())
    sliding = every - others
    return {
        "streaming": sliding - (model.frames - 1) * tower,
        "sliding": sliding,
        "sliding, every RoI's action": every,
    }


def _rows(name, times, work, peaks):
    ours = times["streaming"]

    def against(other):
        return [a / b for a, b in zip(ours, times[other])]

    return [
        measure.peak_row(f"{name}: a frame", work["streaming"], ours, peaks),
        measure.limit_row(f"{name}: two streams", "times one", against("one stream"), _TWO_STREAMS),
        *_sliding_rows(name, "sliding", times, work),
        *_sliding_rows(name, "sliding, every RoI's action", times, work),
        measure.limit_row(
            f"{name}: a clip of {_LONG} frames",
            "times the shortest",
            [a / b for a, b in zip(times["sliding, longer clip"], times["sliding"])],
            _FLAT,
        ),
        measure.time_row(f"{name}: a frame, one temporal layer more", ours, times["longer field"]),
    ]


def _sliding_rows(name, way, times, work):
    """The time of a way beside streaming's, and its work, which bounds what can be gained."""
    label = f"{name}: a frame, {way}"
    goal = _SLIDING.get(f"{name}, {way}")
    return [
        measure.time_row(label, times["streaming"], times[way], goal),
        measure.row(
            f"{label}: work", "GFLOP", work["streaming"], work[way], higher_is_better=False
        ),
    ]
