"""The score below which an answer is unsure, as videos that were held out say."""

from __future__ import annotations

import math

import numpy as np

LEAST_ANSWERS = 20
"""Fewer say too little. Of drawn scores that are right the more often the higher they
are, a limit by 20 answers tells right ones from wrong ones in 3 percent fewer of all
than the best limit does, by 10 in 5 percent fewer.
"""


def unsure_below(
    scores: np.ndarray, right: np.ndarray, seconds: np.ndarray
) -> float | None:
    """Return the score that best tells right answers from wrong ones.

    If answers below it are called wrong and the others right, this is true for at least
    as many seconds as with any other limit.

    Args:
      scores: float [N], scores of the answers in held-out videos, 0 to 1.
      right: bool [N], whether each answer is right.
      seconds: float [N], for how long each answer stands.

    Returns:
      one of the scores, rounded down to four digits; 0 to call all answers right, 1 to
      call all wrong; None if there are fewer than LEAST_ANSWERS.
    """
    if len(scores) < LEAST_ANSWERS:
        return None
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
    return _rounded_down(float(ascending[best]))


def _rounded_down(score: float) -> float:
    # Not up: the answer with this score would be below the limit.
    return math.floor(round(10_000 * score, 6)) / 10_000
