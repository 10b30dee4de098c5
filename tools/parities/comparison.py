"""A comparison of ours with an oracle, and the table of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One row.

    Attributes:
      stage: what is compared.
      oracle: with what.
      difference: the largest one; None where the oracle is not installed.
      bound: what it may be at most.
      unit: of both, such as "of the largest value".
    """

    stage: str
    oracle: str
    difference: float | None
    bound: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether the difference is within the bound, or was not measured."""
        return self.difference is None or self.difference <= self.bound


RELATIVE = "of the largest value"


def relative(ours: Iterable, theirs: Iterable) -> float:
    """Return the largest difference of pairs of arrays, each by the oracle's largest value."""
    largest = 0.0
    for mine, other in zip(ours, theirs):
        mine, other = np.asarray(mine, np.float64), np.asarray(other, np.float64)
        if mine.shape != other.shape:
            raise ValueError(f"shapes {mine.shape} and {other.shape}")
        scale = max(np.abs(other).max(initial=0.0), 1e-12)
        largest = max(largest, float(np.abs(mine - other).max(initial=0.0) / scale))
    return largest


def table(rows: Iterable[Comparison]) -> str:
    """Format comparisons as Markdown."""
    lines = ["| stage | oracle | largest difference | bound | |", "|---|---|---|---|---|"]
    for row in rows:
        shown = "not installed" if row.difference is None else f"{row.difference:.2g}"
        if not row.holds:
            shown += " (beyond the bound)"
        lines.append(f"| {row.stage} | {row.oracle} | {shown} | {row.bound:g} | {row.unit} |")
    return "\n".join(lines)
