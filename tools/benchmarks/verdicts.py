"""What the rows of a GPU's report should have shown, and whether they did.

A verdict is made of a row's values and of those of all rows, {row: values}.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

Verdict = Callable[[dict[str, Any], dict[str, dict]], str]
UNKNOWN = "no range is known"
ROUNDING = {"float32": 1e-6, "TF32": 5e-4}
"""Way to multiply -> relative disturbance of the weights that is about as large as
its rounding.
"""
# times the floor, by which a right device may differ: oneDNN and Eigen do by 4
_WELL = 10.0
_EXPECTED = {
    # By the cards' data sheets, and counted on a GPU whose kernels do nothing.
    ("float32", "H100|H200"): {"step ms": (60, 85)},
    ("float32", "A100"): {"step ms": (102, 126)},
    ("bfloat16", "H100|H200"): {"step ms": (45, 85)},
    ("float32", ""): {"allocated GB": (7.7, 9.8), "nvidia-smi GB": (9, 13)},
    ("bfloat16", ""): {"allocated GB": (5.8, 7.2)},
    ("batches", "H100"): {"largest batch": (64, 64)},
    ("profile", ""): {"launches": (2700, 6000), "copies to the host": (6, 10)},
    ("profile", "H100|H200"): {"idle by NMS ms": (7, 28)},
}
"""Kind of row, cards -> {figure: its range}."""


def nothing(machine: dict[str, Any]) -> str:
    """Return why figures of a GPU mean nothing, or ''; machine: values of its row."""
    if not machine.get("gpus"):
        return "no GPU"
    return "" if machine["computes"] else "the kernels of this GPU compute nothing"


def expected(kind: str) -> Verdict:
    """Compare a row's figures with the ranges of its kind and card."""

    def verdict(values, rows):
        cards, found = " ".join(rows["machine"]["gpus"]), []
        if rows["machine"]["small"]:
            return "not judged: --small"
        for (of, names), ranges in _EXPECTED.items():
            for figure, (low, high) in ranges.items():
                value = values.get(figure)
                if of == kind and value is not None and re.search(names, cards):
                    place = (
                        "as"
                        if low <= value <= high
                        else "below"
                        if value < low
                        else "above"
                    )
                    found.append(f"{figure} {place} expected ({low:g} to {high:g})")
        return "; ".join(found) or UNKNOWN

    return verdict


def same_weights(row: str) -> Verdict:
    """Compare the weights with those of another row."""
    return lambda values, rows: (
        "equal" if values["weights"] == rows[row]["weights"] else "differs"
    )


def close_gradients(values: dict[str, Any], _: dict[str, dict]) -> str:
    """Compare the differences of gradients with their floors, by part of the
    network.
    """
    found = values["relative difference"]
    return "; ".join(
        f"{way}"
        f" {_judged({name: (x[way], x[f'floor, {way}']) for name, x in found.items()})}"
        for way in ROUNDING
    )


def close_losses(right: str, disturbed: str) -> Verdict:
    """Compare losses with those of the row `right`; the other's differ from it by
    the floor.
    """

    def verdict(values, rows):
        curves = (values["losses"], rows[disturbed]["losses"])
        return _judged(
            {"losses": [_farthest(each, rows[right]["losses"]) for each in curves]}
        )

    return verdict


def _farthest(losses, others):
    """The largest relative difference; NaN, in a report's file a string, is the
    largest.
    """
    pairs = [(float(losses[i]), float(other)) for i, other in enumerate(others)]
    return max(
        (abs(a - b) / abs(b) for a, b in pairs), key=lambda x: (math.isnan(x), x)
    )


def _judged(differences):
    """A verdict on {name: (difference, floor)}."""
    ratios = {
        name: float(x) / (float(floor) or 1e-30)
        for name, (x, floor) in differences.items()
    }
    worst = max(ratios, key=lambda name: (math.isnan(ratios[name]), ratios[name]))
    agrees = "agrees" if ratios[worst] <= _WELL else "differs"
    return f"{agrees}: at most {ratios[worst]:.2g} times the floor ({worst})"


def feeds(values: dict[str, Any], _: dict[str, dict]) -> str:
    """Say what part of a training step waits for its input."""
    share = values["wait_ms"] / values["step_ms"]
    return (
        f"{'the input keeps up' if share < 0.1 else 'the input is slow'}: {share:.0%}"
        " of a step"
    )
