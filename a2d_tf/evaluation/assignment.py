"""The assignment problem: pairs of rows and columns with the highest sum of scores.

By shortest augmenting paths with potentials, O(N^2 M): Jonker and Volgenant, "A shortest
augmenting path algorithm for dense and sparse linear assignment problems", Computing 1987. SciPy
has it too, and nothing else here needs SciPy.
"""

from __future__ import annotations

import numpy as np


def assign(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows with columns so that the sum of the pairs' scores is the highest.

    Args:
      scores: finite float [N, M].

    Returns:
      (rows, columns), each int64 [min(N, M)], rows ascending; every row or every column is paired.
    """
    scores = np.asarray(scores, np.float64)
    if scores.shape[0] > scores.shape[1]:
        columns, rows = assign(scores.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    owner = np.full(scores.shape[1] + 1, -1)  # the row of each column, and of a start beside them
    prices = np.zeros(scores.shape[0]), np.zeros(len(owner))
    for row in range(scores.shape[0]):
        owner[-1] = row
        _augment(-scores, owner, *prices)
    columns = np.flatnonzero(owner[:-1] >= 0)
    rows = owner[columns]
    order = np.argsort(rows)
    return rows[order], columns[order]


def _augment(costs, owner, row_prices, column_prices):
    """Give the row that owns the start a column: along the cheapest path, rows change theirs."""
    start = column = len(owner) - 1
    cheapest, before = np.full(start, np.inf), np.full(start, start)
    reached = np.zeros(len(owner), bool)
    while owner[column] >= 0:
        reached[column] = True
        row = owner[column]
        reduced = costs[row] - row_prices[row] - column_prices[:start]
        shorter = ~reached[:start] & (reduced < cheapest)
        cheapest[shorter], before[shorter] = reduced[shorter], column
        open_ = np.where(reached[:start], np.inf, cheapest)
        column = int(np.argmin(open_))
        step = open_[column]
        row_prices[owner[reached]] += step
        column_prices[reached] -= step
        cheapest -= step
    while column != start:
        owner[column] = owner[before[column]]
        column = before[column]
