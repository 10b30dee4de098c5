"""What all suites share: rounds in turn, medians, the peak, rows of figures and their table."""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any, Union

import numpy as np
import tensorflow as tf

from a2d_tf.core import machine as host

# It takes the functions of one network after another for needless retracing of the same.
tf.get_logger().setLevel("ERROR")

Figures = Union[float, list]
"""A figure, or a list of one per round."""


def alternate(rounds: int, candidates: dict[Any, Callable[[], Any]]) -> dict[Any, list]:
    """Measure things in turn, so that a machine that drifts does so for all of them.

    Args:
      rounds: how often.
      candidates: {name: function without arguments that returns a figure, or a tuple of them}.

    Returns:
      {name: list of what was returned, one per round}.
    """
    results = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, function in candidates.items():
            results[name].append(function())
    return results


def stopwatch(function: Callable[[], Any], calls: int = 1) -> Callable[[], float]:
    """A candidate for `alternate`: the median seconds of a function's calls, warm.

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
    """A candidate: GFLOP/s of a large 3x3 convolution, the limit of what a network can reach."""
    shape = [1, 16, 16, 8] if small else [4, 80, 144, 256]
    x = tf.random.stateless_normal(shape, (0, 0))
    kernel = tf.random.stateless_normal([3, 3, shape[-1], shape[-1]], (0, 1))
    seconds = stopwatch(tf.function(lambda: tf.nn.conv2d(x, kernel, 1, "SAME")))
    work = 2e-9 * math.prod(kernel.shape) * math.prod(shape[:-1])
    return lambda: work / seconds()


def bandwidth(small: bool = False) -> Callable[[], float]:
    """A candidate: gigabytes a second that a copy reads and writes."""
    x = tf.zeros([1 << (10 if small else 26)])
    seconds = stopwatch(lambda: tf.raw_ops.Neg(x=x), 3)
    return lambda: 8e-9 * int(tf.size(x)) / seconds()


def apart(function: Callable, *arguments: Any) -> Any:
    """What a function returns in a process of its own, whose memory nothing else has used.

    Args:
      function: of a module, not of another function; so are its arguments and its result.
    """
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(function, *arguments).result()


def memory(most: bool = True) -> float:
    """Gigabytes that this process held at most so far, or holds now (Linux)."""
    return host.process_memory(most) / 2**30


def gflop(model: tf.keras.Model, prefix: str = "") -> float:
    """Work of a Keras model's own layers for one row of its input, in GFLOP.

    Those alone whose name begins with `prefix`.

    Counted are convolutions and fully connected layers, multiplication and addition as two; no
    biases, norms, crops or pooling, which come to some percent. The gradients take twice as much
    again. Layers inside a nested model do not count; those that are called often count so often.
    """
    total = 0
    for kernel, read, written, spreads in _calls(model, prefix):
        # A transposed convolution spreads each cell that it reads.
        total += 2 * math.prod(kernel) * math.prod((read if spreads else written)[1:-1])
    return 1e-9 * total


def traffic(model: tf.keras.Model) -> float:
    """Gigabytes of float32 that the layers of `gflop` read and write, each on its own."""
    shapes = (
        (kernel, read[1:], written[1:]) for kernel, read, written, _ in _calls(model, prefix="")
    )
    return 4e-9 * sum(math.prod(shape) for call in shapes for shape in call)


def _calls(model, prefix):
    """(shapes of kernel, input and output, whether it is transposed) of each call of a layer."""
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None) if layer.name.startswith(prefix) else None
        for node in range(0 if kernel is None else len(layer.inbound_nodes)):
            spreads = isinstance(layer, tf.keras.layers.Conv2DTranspose)
            shapes = layer.get_input_shape_at(node), layer.get_output_shape_at(node)
            yield kernel.shape, *shapes, spreads


def row(
    name: str,
    unit: str,
    ours: Figures,
    peer: Figures | None = None,
    *,
    higher_is_better: bool = True,
    goal: float | None = None,
) -> dict:
    """A row of the table: medians, and how many times better ours is than the peer or limit.

    Args:
      name: what is measured.
      unit: of both figures.
      ours: figure, or list of one per round.
      peer: likewise, or None; the ratio is the median of those of the rounds.
      higher_is_better: whether the ratio is ours / peer, or peer / ours.
      goal: the ratio to reach, or None.

    Returns:
      Dict of `name`, `unit`, `ours`, `peer`, `ratio`, `goal`; None where there is none.
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
        "goal": goal,
    }


def time_row(
    name: str,
    seconds: list[float],
    peer: Figures | None = None,
    goal: float | None = None,
) -> dict:
    """A row of milliseconds, of which fewer are better; see `row`.

    Args:
      seconds: one per round; peer: likewise, or one limit for all rounds, or None.
    """
    if isinstance(peer, float):
        peer = [peer] * len(seconds)
    ours, peer = (x and [1e3 * s for s in x] for x in (seconds, peer))
    return row(name, "ms", ours, peer, higher_is_better=False, goal=goal)


def peak_row(
    name: str, work: float, seconds: list[float], peaks: list[float], *, goal: float | None = None
) -> dict:
    """A row of GFLOP/s against the peak of the same round.

    Args:
      work: GFLOP of a call; seconds, peaks: one per round.
    """
    return row(f"{name}, of the peak", "GFLOP/s", [work / s for s in seconds], peaks, goal=goal)


def limit_row(name: str, unit: str, ours: Figures, limit: float) -> dict:
    """A row of what may not exceed a limit; the ratio is limit / ours, the goal one.

    Args:
      ours: figure, or list of one per round.
    """
    ours = [max(x, 1e-9) for x in (ours if isinstance(ours, list) else [ours])]
    return row(name, unit, ours, [limit] * len(ours), higher_is_better=False, goal=1.0)


def table(rows: list[dict]) -> str:
    """The rows as text, one a line."""
    labels = [f"{r['name']}, {r['unit']}" for r in rows]
    width = max(map(len, labels))
    lines = [f"{'':{width}s} {'ours':>10s} {'peer':>10s} {'ratio':>7s} {'goal':>6s}"]
    for label, r in zip(labels, rows):
        verdict = ""
        if r["ratio"] is not None and r["goal"] is not None:
            verdict = "  reached" if r["ratio"] >= r["goal"] else "  MISSED"
        figures = (_short(r["ours"], 10), _short(r["peer"], 10), _short(r["ratio"], 7))
        lines.append(f"{label:{width}s} {' '.join(figures)} {_short(r['goal'], 6)}{verdict}")
    return "\n".join(lines)


def _short(value, width):
    return f"{'' if value is None else format(value, '.4g'):>{width}s}"


def machine() -> dict:
    """What the figures depend on besides the code."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "gpus": [gpu.name for gpu in tf.config.list_physical_devices("GPU")],
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
