"""Bouts without short gaps, and without short bouts.

First, gaps are filled; then, short bouts go. In this order a behaviour that is
interrupted for a moment is one long bout; in the other one its pieces would go, each
too short, before they could be joined.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

LEAST_SECONDS = 0.001
"""Files have times to the millisecond, so a shorter gap is none."""


@dataclasses.dataclass(frozen=True)
class BoutLengths:
    """How short gaps and bouts may be, in seconds.

    Attributes:
      min_bout: shorter bouts go; 0: none goes.
      merge_gap: shorter gaps are filled; 0: none is.
    """

    min_bout: float = 0.0
    merge_gap: float = 0.0

    @property
    def are_any(self) -> bool:
        """Whether bouts and gaps may have any length."""
        return not self.min_bout and not self.merge_gap


ANY_LENGTHS = BoutLengths()


class LabelledSpan(NamedTuple):
    """A bout of an individual.

    Attributes:
      label: what the individual does; labels are compared.
      start, end: seconds, to the millisecond, as files have them.
    """

    label: Any
    start: float
    end: float

    def is_shorter(self, seconds: float) -> bool:
        """Return whether it is shorter than so many seconds."""
        return seconds_between(self.start, self.end) < seconds


def seconds_between(start: float, end: float) -> float:
    """Return the seconds from one time to another, to the millisecond."""
    return round(end - start, 3)


def tidy(spans: Sequence[LabelledSpan], lengths: BoutLengths) -> list[LabelledSpan]:
    """Fill the short gaps of an individual's bouts, then leave out short bouts.

    Args:
      spans: in order of time; they do not overlap.
    """
    filled = fill_gaps(spans, lengths.merge_gap)
    return [span for span in filled if not span.is_shorter(lengths.min_bout)]


def fill_gaps(spans: Sequence[LabelledSpan], merge_gap: float) -> list[LabelledSpan]:
    """Fill the gaps between bouts of one label that are shorter than `merge_gap`.

    A gap is filled from the first bout on: what the individual did meanwhile, or that
    it was lost, no longer counts. Filling what is filled, with further spans behind it,
    is filling all of them.

    Args:
      spans: as for `tidy`.
      merge_gap: seconds.
    """
    filled: list[LabelledSpan] = []
    position = 0
    while position < len(spans):
        span = spans[position]
        position += 1
        for later_position in range(position, len(spans)):
            later = spans[later_position]
            if seconds_between(span.end, later.start) >= merge_gap:
                break
            if later.label == span.label:
                span = span._replace(end=later.end)
                position = later_position + 1
        filled.append(span)
    return filled
