"""The score below which an answer is unsure, as videos that were held out say."""

from __future__ import annotations

import numpy as np


def unsure_below(scores: np.ndarray, right: np.ndarray, seconds: np.ndarray) -> float:
    """Return the score below which answers are rather wrong than right.

    To call lower scores wrong and the others right is then true for the longest time:
    of a score that rises with the share that is right, it is where half is right.

    Args:
      scores: float [N], of the answers in held-out videos, 0 to 1.
      right: bool [N].
      seconds: float [N], how long each stands for.

    Returns:
      one of the scores; 0 if no answer is unsure, 1 if all of them are.
    """
    order = np.argsort(scores, kind="stable")
    ascending = np.asarray(scores)[order]
    gains = np.where(right, seconds, np.negative(seconds))[order]
    # Of the answers before each position; the last position is behind all of them.
    totals = np.concatenate([[0.0], np.cumsum(gains)])
    for position in range(1, len(ascending)):
        if ascending[position] == ascending[position - 1]:
            totals[position] = np.inf  # equal scores are not told apart
    best = int(np.argmin(totals))
    if best == 0:
        return 0.0
    if best == len(ascending):
        return 1.0
    return float(ascending[best])
