"""Compare two codings of the same videos, frame by frame.

A confusion matrix counts frames. It has a row for each behaviour of the first coding, a
column for each behaviour of the second one, and a last row and column for no behaviour.
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
    """The confusion matrix of several videos; make it with `empty`, then `add` videos.

    Attributes:
      behaviours: the names of the first B rows and columns.
      matrix: float64 [B + 1, B + 1], numbers of frames; the last row and the last
        column are no behaviour.
    """

    behaviours: Sequence[str]
    matrix: np.ndarray

    @classmethod
    def empty(cls, behaviours: Sequence[str]) -> FrameCounts:
        """Return a matrix without frames.

        Args:
          behaviours: the names of its rows and columns.
        """
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
          first: {behaviour: its bouts in the first coding, of all individuals}.
          second: {behaviour: its bouts in the second coding, of all individuals}.
          limits: the part of the video that counts.
          fps: frames per second; a frame shows what is done in the middle of its time.
        """
        count = round((limits.end - limits.start) * fps)
        middles = limits.start + (np.arange(count) + 0.5) / fps
        first_counts = self._individuals(first, middles)
        second_counts = self._individuals(second, middles)
        agreed = np.minimum(first_counts, second_counts)
        first_rest = first_counts - agreed
        second_rest = second_counts - agreed
        # Both codings have equally many individuals left: those that one coding lacks
        # do nothing in it.
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
        """Count the individuals that do each behaviour in each frame.

        Returns:
          float64 [frames, B + 1]; the last column is 0.
        """
        counts = np.zeros((len(middles), len(self.behaviours) + 1))
        for i, behaviour in enumerate(self.behaviours):
            for span in spans.get(behaviour, ()):
                first, end = np.searchsorted(middles, span)
                counts[first:end, i] += 1
        return counts

    def figures(self) -> dict[str, Any]:
        """Return the matrix and the figures that follow from it.

        Returns:
          {"count": number of frames; "kappa": Cohen's kappa of all behaviours; "names":
          the names of rows and columns, `NONE` last; "confusion": the matrix as lists;
          "actions": {behaviour: {"precision", "recall", "f1" in percent, "kappa"}}}.
          The second coding is scored against the first one.
        """
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
    """Compute Cohen's kappa, the agreement of two coders beyond chance.

    It is 1 for full agreement and 0 for chance:
    kappa = (p_o - p_e) / (1 - p_e): p_o is the share of the diagonal, p_e the sum of
    the products of the shares of row and column of each category (Cohen, "A
    coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 1960).

    Args:
      matrix: [n, n], how often one coder says the category of the row and the other one
        that of the column.

    Returns:
      kappa; None if there are no counts, or if both coders say one category alone.
    """
    total = matrix.sum()
    if total == 0:
        return None
    observed = np.trace(matrix) / total
    expected = matrix.sum(axis=0) @ matrix.sum(axis=1) / total**2
    if expected == 1:
        return None
    return float((observed - expected) / (1 - expected))
