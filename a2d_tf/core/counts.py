"""How many were annotated, predicted and right; recall, precision and F1 of these."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

NONE = "(none)"
"""Name of no behaviour, in a table of which one is taken for which."""


@dataclasses.dataclass(frozen=True)
class Counts:
    """Numbers of objects, seconds, bouts or frames of one behaviour.

    Attributes:
      annotated: how many a person annotated or coded.
      right: how many of these are predicted, too.
      predicted: how many are predicted, right or wrong.
    """

    annotated: float = 0
    right: float = 0
    predicted: float = 0

    def __add__(self, other: Counts) -> Counts:
        """Add up the counts of different videos."""
        return Counts(
            self.annotated + other.annotated,
            self.right + other.right,
            self.predicted + other.predicted,
        )

    @property
    def wrong(self) -> float:
        """How many are predicted, but wrong."""
        return self.predicted - self.right

    @property
    def is_empty(self) -> bool:
        """Whether nothing is annotated, and nothing predicted."""
        return not self.annotated and not self.predicted

    @property
    def recall(self) -> float | None:
        """Which part of the annotated ones is right, percent; None without any."""
        return 100 * self.right / self.annotated if self.annotated else None

    @property
    def precision(self) -> float | None:
        """Which part of the predicted ones is right, percent; None without any."""
        return 100 * self.right / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of recall and precision, percent; None if empty."""
        total = self.annotated + self.predicted
        return 200 * self.right / total if total else None

    def figures(self) -> dict[str, float | None]:
        """Return precision, recall and F1 by these names, as JSON files have them."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclasses.dataclass(frozen=True)
class BehaviourCounts:
    """How well one behaviour is told.

    Attributes:
      name: of an actor and an action, as in sentences, or of an action.
      counts: of its objects, or of its seconds.
      videos: number of the videos that show it; None if that is unknown.
      taken_for: {another behaviour: how many annotated ones got that in its place};
        None if that is unknown.
    """

    name: str
    counts: Counts
    videos: int | None = None
    taken_for: Mapping[str, float] | None = None

    @property
    def is_tested(self) -> bool:
        """Whether a video shows it."""
        return self.counts.annotated > 0


def by_name(behaviours: Iterable[BehaviourCounts]) -> dict[str, BehaviourCounts]:
    """Return {name: behaviour}."""
    return {behaviour.name: behaviour for behaviour in behaviours}


def rounded(value: float | None) -> float | None:
    """Round a count or a figure as tables in files have it; None stays None."""
    return None if value is None else round(value, 3)
