"""How much was annotated, predicted and right; recall, precision and F1 of that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

NONE = "(none)"
"""The name that stands for no behaviour in tables of confusions."""


@dataclasses.dataclass(frozen=True)
class Counts:
    """How much of one behaviour is annotated, predicted and right.

    All three are numbers of objects, seconds, bouts or frames, as the caller decides.

    Attributes:
      annotated: the amount that a person annotated or coded.
      right: the part of it that is also predicted.
      predicted: the amount that is predicted, right or wrong.
    """

    annotated: float = 0
    right: float = 0
    predicted: float = 0

    def __add__(self, other: Counts) -> Counts:
        """Add up the counts of two sets of videos that share no video."""
        return Counts(
            self.annotated + other.annotated,
            self.right + other.right,
            self.predicted + other.predicted,
        )

    @property
    def wrong(self) -> float:
        """The amount that is predicted, but not annotated."""
        return self.predicted - self.right

    @property
    def is_empty(self) -> bool:
        """Whether nothing is annotated and nothing is predicted."""
        return not self.annotated and not self.predicted

    @property
    def recall(self) -> float | None:
        """Percentage of `annotated` that is right; None if `annotated` is 0."""
        return 100 * self.right / self.annotated if self.annotated else None

    @property
    def precision(self) -> float | None:
        """Percentage of `predicted` that is right; None if `predicted` is 0."""
        return 100 * self.right / self.predicted if self.predicted else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of recall and precision, percent; None if empty."""
        total = self.annotated + self.predicted
        return 200 * self.right / total if total else None

    def figures(self) -> dict[str, float | None]:
        """Return {'precision', 'recall', 'f1': percentage or None}, for JSON files."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclasses.dataclass(frozen=True)
class BehaviourCounts:
    """How well one behaviour is predicted, a row of a table of all behaviours.

    Attributes:
      name: name of the behaviour: an action, or an actor and its action, such as 'dog
        running'.
      counts: counts of its objects, or of its seconds.
      videos: number of the videos that show it; None if that is unknown.
      taken_for: {another behaviour: the annotated amount of this one that was predicted
        as that}; None if that is unknown.
    """

    name: str
    counts: Counts
    videos: int | None = None
    taken_for: Mapping[str, float] | None = None

    @property
    def is_tested(self) -> bool:
        """Whether the behaviour is annotated at all, so that recall is known."""
        return self.counts.annotated > 0


def by_name(behaviours: Iterable[BehaviourCounts]) -> dict[str, BehaviourCounts]:
    """Index the counts of behaviours by name: {name: counts}, in the same order."""
    return {behaviour.name: behaviour for behaviour in behaviours}


def rounded(value: float | None) -> float | None:
    """Round a count or a percentage to three decimals, for tables; None stays None."""
    return None if value is None else round(value, 3)
