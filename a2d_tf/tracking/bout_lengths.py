"""Fill short gaps between bouts, and leave out short bouts.

A bout is a period in which an individual does one thing without a break. Gaps are
filled first. So a behaviour that is interrupted for a moment is one long bout. In the
other order, its pieces could each be too short and be left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

LEAST_SECONDS = 0.001
"""Files have times to the millisecond, so a gap or bout shorter than this has length 0.
"""


@dataclasses.dataclass(frozen=True)
class BoutLengths:
    """The least length of bouts and of the gaps between them, in seconds.

    These are the flags --min_bout and --merge_gap of a2d predict.

    Attributes:
      min_bout: bouts shorter than this number of seconds are left out; 0 keeps all
        bouts.
      merge_gap: gaps shorter than this number of seconds, between two bouts of one
        label, are filled; 0 keeps all gaps.
    """

    min_bout: float = 0.0
    merge_gap: float = 0.0

    @property
    def are_unlimited(self) -> bool:
        """Whether bouts and gaps may have any length, so that nothing is tidied."""
        return not self.min_bout and not self.merge_gap


ANY_LENGTHS = BoutLengths()


class LabelledSpan(NamedTuple):
    """A bout of an individual: a period with one label.

    Attributes:
      label: what the individual does; any value that can be compared, such as a code.
      start: start of the bout in seconds of the video, rounded to milliseconds as in
        files.
      end: end of the bout in seconds of the video, likewise.
    """

    label: Any
    start: float
    end: float

    def is_shorter(self, seconds: float) -> bool:
        """Return whether the bout lasts less than a number of seconds."""
        return seconds_between(self.start, self.end) < seconds


def seconds_between(start: float, end: float) -> float:
    """Return the seconds from `start` to `end`, rounded to milliseconds."""
    return round(end - start, 3)


def tidy(spans: Sequence[LabelledSpan], lengths: BoutLengths) -> list[LabelledSpan]:
    """Fill short gaps between the bouts of an individual, then leave out short bouts.

    Args:
      spans: the individual's bouts in order of time; they do not overlap.
      lengths: the least lengths of bouts and gaps.

    Returns:
      the remaining bouts in order of time.
    """
    filled = fill_gaps(spans, lengths.merge_gap)
    return [span for span in filled if not span.is_shorter(lengths.min_bout)]


def fill_gaps(spans: Sequence[LabelledSpan], merge_gap: float) -> list[LabelledSpan]:
    """Fill short gaps between bouts of the same label, so that these become one bout.

    A bout of another label inside a filled gap is left out. Bouts may come in pieces:
    filling the result of an earlier call together with later bouts gives the same as
    filling all bouts at once.

    Args:
      spans: the individual's bouts in order of time; they do not overlap.
      merge_gap: gaps shorter than this number of seconds are filled.

    Returns:
      the bouts after filling, in order of time.
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
