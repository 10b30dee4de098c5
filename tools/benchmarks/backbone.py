"""Suite `backbone`: ResNet-101 with FPN at 320x576, forward and training, against peak and torch.

Training is forward and gradients, of all weights, of the mean square of the pyramid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.core.config import ComputeConfig, ModelConfig
from a2d_tf.core.labels import A2D
from a2d_tf.model.network import Network
from a2d_tf.serving.folding import folded
from tools.benchmarks import inputs, measure, peers, setups

ONE_STREAM = ModelConfig(image_height=320, image_width=576, use_flow=False, temporal_layers=0)
SMALL = setups.smallest(ONE_STREAM)
_GOALS = {  # part -> (of the peak, against torch)
    "forward, 1 frame": (0.8, 1.0),
    "forward, 8 frames": (0.9, 1.2),
    "training, 1 frame": (0.78, 1.0),
}
_GIGABYTE = 0.5  # of a further training frame
_HALF = 1.6  # times faster in bfloat16
_FOLDED = ", norm folded for good"


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: a network of the smallest size."""
    devices.prepare()
    small = options["small"]
    config = SMALL if small else ONE_STREAM
    size = config.image_height, config.image_width
    memory = [measure.apart(_memory_per_frame, config, twice) for twice in (False, True)]
    network = Network(config, A2D)
    half = Network(config, A2D, ComputeConfig("mixed_bfloat16"))
    work = measure.gflop(network.towers)

    candidates = {"peak": measure.peak(small)}
    for suffix, model in (
        ("", network),
        (", bfloat16", half),
        (", recomputed", Network(config, A2D, recompute=True)),
    ):
        call = training(model.towers, tf.constant(inputs.frames(1, *size)))
        candidates[f"training, 1 frame{suffix}"] = measure.stopwatch(call)
    for suffix, model in (
        ("", network),
        (_FOLDED, folded(network)),
        (", bfloat16", folded(half)),
    ):
        for count in (1, 8):
            call = forward(model.towers, tf.constant(inputs.frames(count, *size)))
            candidates[f"forward, {_frames(count)}{suffix}"] = measure.stopwatch(call)
    if peers.available():
        candidates.update(_peers(size, small))
    results = measure.alternate(options["rounds"], candidates)

    rows, peaks = [], results["peak"]
    for part, (of_peak, against_peer) in _GOALS.items():
        times = 3 if part.startswith("training") else int(part.split()[1])
        for label in (part + suffix for suffix in ("", _FOLDED) if part + suffix in results):
            seconds, peer = results[label], results.get(("torch", part))
            rows.append(measure.peak_row(label, times * work, seconds, peaks, goal=of_peak))
            rows.append(measure.time_row(label, seconds, peer, against_peer))
        label = f"{part}, bfloat16"
        rows.append(measure.time_row(f"{label}, by float32", results[label], results[part], _HALF))
    part = "training, 1 frame"
    seconds = results[f"{part}, recomputed"]
    rows.append(measure.time_row(f"{part}, recomputed, by kept", seconds, results[part]))
    for suffix, used in zip(("", ", recomputed"), memory):
        label = f"training, memory of a further frame{suffix}"
        rows.append(measure.limit_row(label, "GB", used, _GIGABYTE))
    return rows, {"gflop_per_frame": work, "peak": peaks, **peers.versions()}


def _frames(count):
    return f"{count} frame{'s' if count > 1 else ''}"


def forward(towers: tf.keras.Model, rgb: tf.Tensor) -> Callable[[], list]:
    """A compiled call without arguments."""
    return tf.function(lambda: towers({"rgb": rgb}, training=False)["actor"])


def training(towers: tf.keras.Model, rgb: tf.Tensor) -> Callable[[], list]:
    """A compiled call without arguments that returns the gradients of all weights."""

    @tf.function
    def step():
        variables = towers.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            pyramid = towers({"rgb": rgb}, training=True)["actor"]
            loss = tf.add_n([tf.reduce_mean(tf.square(level)) for level in pyramid])
        return tape.gradient(loss, variables)

    return step


def _memory_per_frame(config, recompute):
    """Gigabytes by which a process that trains grows for each further frame."""
    devices.prepare()
    towers, sizes = Network(config, A2D, recompute=recompute).towers, []
    for count in (1, 3):
        frames = inputs.frames(count, config.image_height, config.image_width)
        training(towers, tf.constant(frames))()
        sizes.append(measure.memory())
    return (sizes[1] - sizes[0]) / 2


def _peers(size, small):
    """The peer's candidates, on the same number of pixels."""
    model = peers.resnet_fpn("resnet18" if small else "resnet101")
    rng = np.random.default_rng(0)

    def images(count):
        pixels = rng.normal(size=(count, *size, 3)).astype(np.float32)
        return peers.maps(pixels)  # channels last in memory

    def look(x):
        with peers.torch.inference_mode():
            return model(x)

    def learn(x):
        model.zero_grad(set_to_none=True)
        sum(level.square().mean() for level in list(model(x).values())[:4]).backward()

    calls = {f"forward, {_frames(count)}": (look, images(count)) for count in (1, 8)}
    calls["training, 1 frame"] = learn, images(1)
    return {
        ("torch", part): measure.stopwatch(peers.waiting(lambda f=f, x=x: f(x)))
        for part, (f, x) in calls.items()
    }
