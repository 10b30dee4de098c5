"""What all suites share: rounds, medians, the peak, rows of figures and their table."""

from __future__ import annotations

import math
import os
import pathlib
import platform
import re
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

# TensorFlow warns of needless retracing when one network's functions follow another's.
tf.get_logger().setLevel("ERROR")


def alternate(
    rounds: int, candidates: dict[Any, Callable[[], float]]
) -> dict[Any, list[float]]:
    """Call the candidates in turn, so that a drifting machine drifts for all of them.

    Args:
      rounds: number of calls of each.
      candidates: {name: function that returns a figure}.

    Returns:
      {name: [the figure of each round]}.
    """
    results: dict[Any, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            results[name].append(candidate())
    return results


def stopwatch(function: Callable[[], Any]) -> Callable[[], float]:
    """Make a candidate for `alternate`: the seconds of a warm call of a function.

    The clock waits for what the function does on a GPU. The function is called once at
    first, to trace it and fill caches.

    Args:
      function: the function to time.
    """

    def once():
        began = time.perf_counter()
        function()
        tf.test.experimental.sync_devices()
        return time.perf_counter() - began

    once()  # traces, and fills caches
    return once


def peak(small: bool = False) -> Callable[[], float]:
    """Make a candidate for `alternate`: the GFLOP/s of a large 3x3 convolution.

    No network is faster on this machine.

    Args:
      small: whether the convolution is small, so that it only shows that the code
        works.
    """
    shape = [1, 16, 16, 8] if small else [4, 80, 144, 256]
    x = tf.random.stateless_normal(shape, (0, 0))
    kernel = tf.random.stateless_normal([3, 3, shape[-1], shape[-1]], (0, 1))
    seconds = stopwatch(tf.function(lambda: tf.nn.conv2d(x, kernel, 1, "SAME")))
    work = 2e-9 * math.prod(kernel.shape) * math.prod(shape[:-1])
    return lambda: work / seconds()


class Options(NamedTuple):
    """The options of a suite; each suite uses those that its docstring names.

    Attributes:
      rounds: number of rounds, of whose figures the median counts.
      small: whether to use sizes that show only that a suite works.
      saved_model: path of an export; "" for that of the packed model.
      records: path of a folder of records; "" for none.
      steps: number of steps of each training.
    """

    rounds: int
    small: bool
    saved_model: str
    records: str
    steps: int


class Row(NamedTuple):
    """A row of the table: medians of both sides, and how many times better ours is.

    Attributes:
      name: what is measured.
      unit: unit of both figures.
      ours: our figure.
      peer: the peer's figure; None without a peer.
      ratio: how many times better ours is; None without a peer, or if a figure is 0.
    """

    name: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None


class Report(NamedTuple):
    """The result of a suite.

    Attributes:
      rows: rows of the table.
      details: further figures for the JSON file, {name: value}.
    """

    rows: list[Row]
    details: dict[str, Any]


def compare(
    name: str,
    unit: str,
    ours: list[float],
    peer: list[float],
    *,
    higher_is_better: bool = False,
) -> Row:
    """Return the row that compares the figures of two sides.

    The ratio is the median over the rounds: ours / peer if higher is better, else peer
    / ours.

    Args:
      name: what is measured.
      unit: unit of the figures.
      ours: our figure in each round.
      peer: the peer's figure in each round.
      higher_is_better: whether a higher figure is better, as for a rate.
    """
    ratio = None
    if all(ours) and all(peer):
        ratios = []
        for our_figure, peer_figure in zip(ours, peer):
            if higher_is_better:
                ratios.append(our_figure / peer_figure)
            else:
                ratios.append(peer_figure / our_figure)
        ratio = statistics.median(ratios)
    return Row(name, unit, statistics.median(ours), statistics.median(peer), ratio)


def table(rows: list[Row]) -> str:
    """Format rows as a text table, a line each below a header."""
    labels = [f"{row.name}, {row.unit}" for row in rows]
    width = max(map(len, labels))
    lines = [f"{'':{width}s} {'ours':>10s} {'peer':>10s} {'ratio':>7s}"]
    for label, row in zip(labels, rows):
        ours = _text(row.ours)
        peer = _text(row.peer)
        ratio = _text(row.ratio)
        lines.append(f"{label:{width}s} {ours:>10s} {peer:>10s} {ratio:>7s}")
    return "\n".join(lines)


def _text(figure):
    return "" if figure is None else f"{figure:.4g}"


def machine() -> dict:
    """Describe the machine and its software, on which figures depend: {name: value}."""
    gpus = []
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        gpus.append(details.get("device_name", "GPU"))
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "gpus": gpus,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }


def _processor():
    """Return the name of the processor, as well as the system knows it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")  # on Linux
    if cpuinfo.exists():
        names = re.findall(r"model name\s*: (.+)", cpuinfo.read_text())
        if names:  # an ARM processor may have none
            return names[0]
    return platform.processor() or platform.machine()
