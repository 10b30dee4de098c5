"""Fill short gaps between bouts, and leave out short bouts.

Gaps are filled first. So a behaviour that is interrupted for a moment is one long bout.
In the other order, its pieces could each be too short and be left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

LEAST_SECONDS = 0.001
"""Files have times to the millisecond, so a shorter gap is none."""


@dataclasses.dataclass(frozen=True)
class BoutLengths:
    """The least length of bouts and of gaps, in seconds.

    Attributes:
      min_bout: shorter bouts are left out; 0 keeps all bouts.
      merge_gap: shorter gaps are filled; 0 keeps all gaps.
    """

    min_bout: float = 0.0
    merge_gap: float = 0.0

    @property
    def are_unlimited(self) -> bool:
        """Whether bouts and gaps may have any length."""
        return not self.min_bout and not self.merge_gap


ANY_LENGTHS = BoutLengths()


class LabelledSpan(NamedTuple):
    """A bout of an individual.

    Attributes:
      label: what the individual does; any value that can be compared.
      start: start of the bout in seconds, rounded to milliseconds as in files.
      end: end of the bout, likewise.
    """

    label: Any
    start: float
    end: float

    def is_shorter(self, seconds: float) -> bool:
        """Return whether the bout is shorter than so many seconds."""
        return seconds_between(self.start, self.end) < seconds


def seconds_between(start: float, end: float) -> float:
    """Return the seconds from one time to another, to the millisecond."""
    return round(end - start, 3)


def tidy(spans: Sequence[LabelledSpan], lengths: BoutLengths) -> list[LabelledSpan]:
    """Fill short gaps between the bouts of an individual, then leave out short bouts.

    Args:
      spans: the individual's bouts in order of time; they do not overlap.
      lengths: the least lengths of bouts and gaps.
    """
    filled = fill_gaps(spans, lengths.merge_gap)
    return [span for span in filled if not span.is_shorter(lengths.min_bout)]


def fill_gaps(spans: Sequence[LabelledSpan], merge_gap: float) -> list[LabelledSpan]:
    """Fill short gaps between bouts of the same label.

    A bout of another label inside a filled gap is left out. Bouts may come in pieces:
    filling the result of an earlier call together with later bouts gives the same as
    filling all bouts at once.

    Args:
      spans: the individual's bouts in order of time; they do not overlap.
      merge_gap: gaps shorter than this are filled, seconds.
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
