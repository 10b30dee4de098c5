"""Shared by all suites: rounds in turn, medians, the peak, rows of figures and their table."""

from __future__ import annotations

import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# It takes the functions of one network after another for needless retracing of the same.
tf.get_logger().setLevel("ERROR")


def alternate(rounds: int, candidates: dict[Any, Callable[[], float]]) -> dict[Any, list[float]]:
    """Measure things in turn, so that a machine that drifts does so for all of them.

    Args:
      rounds: how often.
      candidates: {name: function without arguments that returns a figure}.

    Returns:
      {name: list of what was returned, one per round}.
    """
    results: dict[Any, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, function in candidates.items():
            results[name].append(function())
    return results


def stopwatch(function: Callable[[], Any], calls: int = 1) -> Callable[[], float]:
    """Make a candidate for `alternate`: the median seconds of a function's calls, warm.

    Args:
      function: without arguments; what it does on a GPU is waited for.
      calls: how many a round; more for what takes milliseconds.
    """

    def once():
        began = time.perf_counter()
        function()
        tf.test.experimental.sync_devices()
        return time.perf_counter() - began

    once()  # traces, and fills what is filled once
    return lambda: statistics.median(once() for _ in range(calls))


def peak(small: bool = False) -> Callable[[], float]:
    """Make a candidate: GFLOP/s of a large 3x3 convolution, the limit of a network."""
    shape = [1, 16, 16, 8] if small else [4, 80, 144, 256]
    x = tf.random.stateless_normal(shape, (0, 0))
    kernel = tf.random.stateless_normal([3, 3, shape[-1], shape[-1]], (0, 1))
    seconds = stopwatch(tf.function(lambda: tf.nn.conv2d(x, kernel, 1, "SAME")))
    work = 2e-9 * math.prod(kernel.shape) * math.prod(shape[:-1])
    return lambda: work / seconds()


def gflop(model: tf.keras.Model) -> float:
    """Return the GFLOP of a Keras model for one image or RoI, by TensorFlow's profiler."""
    # The profiler leaves out what has an unknown size.
    signature = tf.nest.map_structure(
        lambda x: tf.TensorSpec([size or 1 for size in x.shape], x.dtype), model.input
    )
    graph = tf.function(lambda x: model(x)).get_concrete_function(signature).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder
    wanted = options(options.float_operation()).with_empty_output().build()
    return tf.compat.v1.profiler.profile(graph, options=wanted).total_float_ops / 1e9


def row(
    name: str,
    unit: str,
    ours: list[float] | float,
    peer: list[float] | float | None = None,
    *,
    higher_is_better: bool = False,
) -> dict:
    """Return a row of the table: medians, and how many times better ours is than the peer.

    Args:
      name: what is measured.
      unit: of both figures.
      ours: a figure, or one per round.
      peer: likewise, or None; the ratio is the median of those of the rounds.
      higher_is_better: whether the ratio is ours / peer, or peer / ours.

    Returns:
      Dict of `name`, `unit`, `ours`, `peer`, `ratio`; None where there is none.
    """
    ours, peer = (x if isinstance(x, list) or x is None else [x] for x in (ours, peer))
    ratio = None
    if peer is not None:
        pairs = zip(ours, peer) if higher_is_better else zip(peer, ours)
        ratio = statistics.median(a / b for a, b in pairs)
    return {
        "name": name,
        "unit": unit,
        "ours": statistics.median(ours),
        "peer": None if peer is None else statistics.median(peer),
        "ratio": ratio,
    }


def time_row(name: str, seconds: list[float], peer: list[float] | None = None) -> dict:
    """Return a row of milliseconds; see `row`."""
    ours, theirs = (x and [1e3 * s for s in x] for x in (seconds, peer))
    return row(name, "ms", ours, theirs)


def peak_row(name: str, work: float, seconds: list[float], peaks: list[float]) -> dict:
    """Return a row of GFLOP/s against the peak of the same round.

    Args:
      work: GFLOP of a call; seconds, peaks: one per round.
    """
    rates = [work / s for s in seconds]
    return row(f"{name}, of the peak", "GFLOP/s", rates, peaks, higher_is_better=True)


def table(rows: list[dict]) -> str:
    """Format the rows as text, one a line."""
    labels = [f"{r['name']}, {r['unit']}" for r in rows]
    width = max(map(len, labels))
    lines = [f"{'':{width}s} {'ours':>10s} {'peer':>10s} {'ratio':>7s}"]
    for label, r in zip(labels, rows):
        figures = ("" if r[k] is None else f"{r[k]:.4g}" for k in ("ours", "peer", "ratio"))
        lines.append("{:{}s} {:>10s} {:>10s} {:>7s}".format(label, width, *figures))
    return "\n".join(lines)


def machine() -> dict:
    """Return what the figures depend on besides the code."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "gpus": [gpu.name for gpu in tf.config.list_physical_devices("GPU")],
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }
