"""Shared by all suites: rounds in turn, medians, the peak, rows of figures and their
table.
"""

from __future__ import annotations

import math
import os
import pathlib
import platform
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# It takes the functions of one network after another for needless retracing of the
# same.
tf.get_logger().setLevel("ERROR")


def alternate(
    rounds: int, candidates: dict[Any, Callable[[], float]]
) -> dict[Any, list[float]]:
    """Call candidates {name: function} in turn; return {name: [what it returned, one
    per round]}.

    A machine that drifts does so for all of them.
    """
    results: dict[Any, list[float]] = {name: [] for name in candidates}
    for name in [*candidates] * rounds:
        results[name].append(candidates[name]())
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


def row(
    name: str,
    unit: str,
    ours: list[float] | float,
    peer: list[float] | float | None = None,
    *,
    higher_is_better: bool = False,
) -> dict:
    """Return a row of the table: medians, and how many times better ours is than the
    peer.

    Args:
      name: what is measured.
      unit: of both figures.
      ours: a figure, or one per round.
      peer: likewise, or None; the ratio is the median of those of the rounds.
      higher_is_better: whether the ratio is ours / peer, or peer / ours.

    Returns:
      Dict of `name`, `unit`, `ours`, `peer`, `ratio`; None where there is none.
    """
    if not isinstance(ours, list):
        ours = [ours]
    if peer is not None and not isinstance(peer, list):
        peer = [peer]
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


def table(rows: list[dict]) -> str:
    """Format the rows as text, one a line."""
    labels = [f"{r['name']}, {r['unit']}" for r in rows]
    width = max(map(len, labels))
    lines = [f"{'':{width}s} {'ours':>10s} {'peer':>10s} {'ratio':>7s}"]
    for label, r in zip(labels, rows):
        figures = (
            "" if r[k] is None else f"{r[k]:.4g}" for k in ("ours", "peer", "ratio")
        )
        lines.append("{:{}s} {:>10s} {:>10s} {:>7s}".format(label, width, *figures))
    return "\n".join(lines)


def machine() -> dict:
    """Return what the figures depend on besides the code."""
    about = pathlib.Path("/proc/cpuinfo")  # Linux; an ARM's may name no model
    names = (
        re.findall(r"model name\s*: (.+)", about.read_text()) if about.exists() else []
    )
    details = map(
        tf.config.experimental.get_device_details,
        tf.config.list_physical_devices("GPU"),
    )
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "gpus": [info.get("device_name", "GPU") for info in details],
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }
