"""Suite `roi_align`: 1000 crops of 14x14x256 and their gradients, against torchvision's.

torchvision's works on one map; it is given each level's RoIs, and the results are compared. The
limit without a peer is the machine's memory: a copy of what is read and written.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from a2d_tf.core import devices
from a2d_tf.ops import roi_align
from tools.benchmarks import inputs, measure, peers

_SIZE = 14
_GOALS = {"forward": 5.0, "forward + backward": 10.0}
_RUNS = 5  # of a gradient, which must be equal to the bit
_WAYS = {"": roi_align.roi_align}
"""Suffix of a part's name -> function (pyramid, rois, size), one of ours."""


def run(options: dict) -> tuple[list[dict], dict]:
    """Rows and details; `small`: 10 RoIs of 8 channels."""
    devices.prepare()
    count, channels = (10, 8) if options["small"] else (1000, 256)
    height, width = 320, 576
    rng = np.random.default_rng(0)
    pyramid = [
        rng.normal(size=(1, height // s, width // s, channels)).astype(np.float32)
        for s in (4, 8, 16, 32)
    ]
    rois = inputs.boxes(count, height, width, 16, most=512)
    weights = rng.normal(size=(count, _SIZE, _SIZE, channels)).astype(np.float32)

    candidates = {"copy": _copy(pyramid, weights)}
    ours = {suffix: _ours(function, pyramid, rois, weights) for suffix, function in _WAYS.items()}
    for suffix, calls in ours.items():
        for part, call in calls.items():
            candidates[part + suffix] = measure.stopwatch(call, 3)
    theirs = {}
    if peers.available():
        theirs = _peers(pyramid, rois, weights)
        for part, function in theirs.items():
            candidates["torchvision", part] = measure.stopwatch(peers.waiting(function))
    results = measure.alternate(options["rounds"], candidates)

    rows, details = [], peers.versions()
    for suffix, calls in ours.items():
        for part, goal in _GOALS.items():
            seconds, peer = results[part + suffix], results.get(("torchvision", part))
            rows.append(measure.time_row(part + suffix, seconds, peer, goal))
            rows.append(
                measure.time_row(f"{part}{suffix}, copy of its data", seconds, results["copy"])
            )
        first, *others = (calls["forward + backward"]() for _ in range(_RUNS))
        alike = 1 + sum(_difference(first, other) == 0 for other in others)
        name = f"gradient{suffix}, runs with the same result"
        rows.append(measure.row(name, "runs", alike, _RUNS, goal=1.0))
        details[f"from_torchvision{suffix}"] = {
            part: _difference(calls[part](), function()) for part, function in theirs.items()
        }
    return rows, details


def _copy(pyramid, weights):
    """Seconds to copy as much as the crops read and write, in TensorFlow."""
    data = [tf.constant(x) for x in (*pyramid, weights)]
    return measure.stopwatch(lambda: [tf.raw_ops.Neg(x=x) for x in data], 3)


def _ours(function, pyramid, rois, weights):
    """{part: compiled call -> list of arrays}."""
    levels, boxes = [tf.constant(x) for x in pyramid], tf.constant(rois[None])
    factor = tf.constant(weights[None])

    def crops():
        return function(levels, boxes, _SIZE)

    def both():
        with tf.GradientTape() as tape:
            tape.watch(levels)
            cells = crops()
        return tape.gradient(cells, levels, factor)

    return {"forward": tf.function(crops), "forward + backward": tf.function(both)}


def _peers(pyramid, rois, weights):
    """{part: call -> list of arrays}, by torchvision's op, a level at a time."""
    torch, device = peers.torch, peers.device()
    levels = [peers.maps(x).contiguous().requires_grad_() for x in pyramid]
    factor = peers.maps(weights).contiguous()
    own = roi_align.assign_levels(rois, len(pyramid)).numpy()
    places = [np.flatnonzero(own == level) for level in range(len(levels))]
    boxes = [torch.from_numpy(rois[here][:, [1, 0, 3, 2]]).to(device) for here in places]
    places = [torch.from_numpy(here).to(device) for here in places]

    def crops():
        cells = torch.zeros_like(factor)
        for level, (x, here, box) in enumerate(zip(levels, places, boxes)):
            cells[here] = peers.torchvision.ops.roi_align(
                x, [box], _SIZE, 0.25 / 2**level, sampling_ratio=2, aligned=True
            )
        return cells

    def forward():
        with torch.inference_mode():
            return crops().permute(0, 2, 3, 1)[None]

    def both():
        gradients = torch.autograd.grad(crops(), levels, factor, allow_unused=True)
        return [g.permute(0, 2, 3, 1) for g in gradients]

    return {"forward": forward, "forward + backward": both}


def _difference(a, b):
    """The largest difference of two results, as a part of the largest value in them."""
    a, b = (np.concatenate([np.ravel(x) for x in tf.nest.flatten(y)]) for y in (a, b))
    return float(np.abs(a - b).max() / np.abs(a).max())
