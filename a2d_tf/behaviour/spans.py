"""Spans of time, in which bouts are coded or predicted, and how far these agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_LEAST_IOU = 0.5  # in time, of a coded and a predicted bout that match


class TimeSpan(NamedTuple):
    """A part of a video, such as a bout.

    Attributes:
      start: the start in seconds of the video.
      end: the end in seconds of the video.
    """

    start: float
    end: float


def total_seconds(spans: Iterable[TimeSpan]) -> float:
    """Return the sum of the lengths of spans, in seconds; overlaps count twice."""
    return math.fsum(span.end - span.start for span in spans)


def cut(spans: Iterable[TimeSpan], limits: TimeSpan) -> list[TimeSpan]:
    """Cut spans to limits.

    Args:
      spans: the spans to cut.
      limits: the part of the video that remains.

    Returns:
      the parts of the spans within the limits, without empty ones.
    """
    parts = []
    for span in spans:
        part = TimeSpan(max(span.start, limits.start), min(span.end, limits.end))
        if part.start < part.end:
            parts.append(part)
    return parts


def agreed_seconds(coded: Sequence[TimeSpan], predicted: Sequence[TimeSpan]) -> float:
    """Return for how many seconds two codings of one action agree.

    At each moment, of the individuals that do the action, the smaller of the two
    numbers agrees; the result is the integral of this number over time.

    Args:
      coded: the bouts of the action in one coding, those of all individuals.
      predicted: the bouts of the action in the other coding.
    """
    times: set[float] = set()
    for span in (*coded, *predicted):
        times.update(span)
    edges = sorted(times)
    agreed = []
    for start, end in zip(edges, edges[1:]):
        both = min(_count_at(coded, start), _count_at(predicted, start))
        agreed.append((end - start) * both)
    return math.fsum(agreed)


def _count_at(spans: Iterable[TimeSpan], time: float) -> int:
    return sum(span.start <= time < span.end for span in spans)


class _Pair(NamedTuple):
    """A coded and a predicted bout; sorting pairs puts the best one first.

    Attributes:
      negative_iou: minus their IoU in time.
      coded: the index of the coded bout.
      predicted: the index of the predicted bout.
    """

    negative_iou: float
    coded: int
    predicted: int


def count_matches(coded: Sequence[TimeSpan], predicted: Sequence[TimeSpan]) -> int:
    """Count the bouts of one action that match between two codings.

    Two bouts match if their IoU in time is at least .5. The pairs with the highest IoU
    are matched first, and each bout is matched once at most.

    Args:
      coded: the bouts of the action in one coding, those of all individuals.
      predicted: the bouts of the action in the other coding.
    """
    pairs = []
    for i, one in enumerate(coded):
        for k, other in enumerate(predicted):
            both = min(one.end, other.end) - max(one.start, other.start)
            either = max(one.end, other.end) - min(one.start, other.start)
            if both > 0 and both / either >= _LEAST_IOU:
                pairs.append(_Pair(-(both / either), i, k))
    matched_coded: set[int] = set()
    matched_predicted: set[int] = set()
    for pair in sorted(pairs):
        is_free = pair.coded not in matched_coded
        if is_free and pair.predicted not in matched_predicted:
            matched_coded.add(pair.coded)
            matched_predicted.add(pair.predicted)
    return len(matched_coded)
