"""How far two codings of the same videos agree, frame by frame.

A confusion matrix counts frames: a row for each behaviour of the first coding, a column
for each of the second one, and one of both for no behaviour.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from a2d_tf.behaviour.spans import TimeSpan
from a2d_tf.core.counts import NONE, Counts


@dataclasses.dataclass
class FrameCounts:
    """The confusion matrix of several videos.

    Attributes:
      behaviours: names of its rows and columns but for the last ones, which are none.
      matrix: float64 [B + 1, B + 1], frames.
    """

    behaviours: Sequence[str]
    matrix: np.ndarray

    @classmethod
    def empty(cls, behaviours: Sequence[str]) -> FrameCounts:
        """Return a matrix without frames."""
        side = len(behaviours) + 1
        return cls(behaviours, np.zeros((side, side)))

    def add(
        self,
        first: Mapping[str, Sequence[TimeSpan]],
        second: Mapping[str, Sequence[TimeSpan]],
        limits: TimeSpan,
        fps: float,
    ) -> None:
        """Add the frames of a video.

        In a frame, individuals that do the same in both codings agree. What the others
        do in the first coding is shared among what they do in the second one: of one
        individual these are two behaviours, or one and none. A frame in which nobody
        does anything counts once.

        Args:
          first, second: {behaviour: its bouts of all individuals}.
          limits: the part of the video that counts.
          fps: frames a second; a frame shows what is done in its middle.
        """
        count = round((limits.end - limits.start) * fps)
        middles = limits.start + (np.arange(count) + 0.5) / fps
        first_counts = self._individuals(first, middles)
        second_counts = self._individuals(second, middles)
        agreed = np.minimum(first_counts, second_counts)
        first_rest = first_counts - agreed
        second_rest = second_counts - agreed
        # Of both codings as many individuals are left; some do nothing in one of them.
        left = np.maximum(first_rest.sum(axis=1), second_rest.sum(axis=1))
        first_rest[:, -1] = left - first_rest.sum(axis=1)
        second_rest[:, -1] = left - second_rest.sum(axis=1)
        shares = second_rest / np.maximum(left, 1)[:, np.newaxis]
        self.matrix += np.diag(agreed.sum(axis=0)) + first_rest.T @ shares
        nobody = (first_counts.sum(axis=1) == 0) & (second_counts.sum(axis=1) == 0)
        self.matrix[-1, -1] += nobody.sum()

    def _individuals(
        self, spans: Mapping[str, Sequence[TimeSpan]], middles: np.ndarray
    ) -> np.ndarray:
        """Return how many do each behaviour in each frame: float64 [frames, B + 1]."""
        counts = np.zeros((len(middles), len(self.behaviours) + 1))
        for i, behaviour in enumerate(self.behaviours):
            for span in spans.get(behaviour, ()):
                first, end = np.searchsorted(middles, span)
                counts[first:end, i] += 1
        return counts

    def figures(self) -> dict[str, Any]:
        """Return the matrix and what follows from it, as in the metrics file."""
        actions = {}
        for i, behaviour in enumerate(self.behaviours):
            agreed = self.matrix[i, i]
            coded = self.matrix[i].sum()
            predicted = self.matrix[:, i].sum()
            rest = self.matrix.sum() - coded - predicted + agreed
            alone = [[agreed, coded - agreed], [predicted - agreed, rest]]
            counts = Counts(float(coded), float(agreed), float(predicted))
            actions[behaviour] = {
                **counts.figures(),
                "kappa": cohens_kappa(np.array(alone)),
            }
        return {
            "count": float(self.matrix.sum()),
            "kappa": cohens_kappa(self.matrix),
            "names": [*self.behaviours, NONE],
            "confusion": self.matrix.round(3).tolist(),
            "actions": actions,
        }


def cohens_kappa(matrix: np.ndarray) -> float | None:
    """Return the agreement of two coders beyond chance; 1 is all, 0 is chance.

    kappa = (p_o - p_e) / (1 - p_e): p_o is the share of the diagonal, p_e the sum of
    the products of the shares of row and column of each category (Cohen, "A
    coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 1960).

    Args:
      matrix: [n, n], how often one coder says the row and the other one the column.

    Returns:
      None where it says nothing: without counts, or if all are of one category.
    """
    total = matrix.sum()
    if total == 0:
        return None
    observed = np.trace(matrix) / total
    expected = matrix.sum(axis=0) @ matrix.sum(axis=1) / total**2
    if expected == 1:
        return None
    return float((observed - expected) / (1 - expected))
