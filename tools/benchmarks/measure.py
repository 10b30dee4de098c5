"""What all suites share: rounds in turn, medians, rows of figures and their table."""

import os
import platform
import statistics

import tensorflow as tf


def alternate(rounds, candidates):
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


def row(name, unit, ours, peer=None, higher_is_better=True, goal=None):
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


def table(rows):
    """The rows as text, one a line."""
    lines = [f"{'':58s} {'ours':>10s} {'peer':>10s} {'ratio':>7s} {'goal':>6s}"]
    for r in rows:
        verdict = ""
        if r["ratio"] is not None and r["goal"] is not None:
            verdict = "  reached" if r["ratio"] >= r["goal"] else "  MISSED"
        figures = (_short(r["ours"], 10), _short(r["peer"], 10), _short(r["ratio"], 7))
        label = f"{r['name']}, {r['unit']}"
        lines.append(f"{label:58s} {' '.join(figures)} {_short(r['goal'], 6)}{verdict}")
    return "\n".join(lines)


def _short(value, width):
    return f"{'' if value is None else format(value, '.4g'):>{width}s}"


def machine():
    """What the figures depend on besides the code."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpus": [gpu.name for gpu in tf.config.list_physical_devices("GPU")],
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }
