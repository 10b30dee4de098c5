"""Spans of time, of coded and of predicted bouts, and how far they agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_LEAST_IOU = 0.5  # in time, of a coded and a predicted bout that match


class TimeSpan(NamedTuple):
    """A part of a video, in seconds."""

    start: float
    end: float


def total_seconds(spans: Iterable[TimeSpan]) -> float:
    """Return how long spans last together."""
    return math.fsum(span.end - span.start for span in spans)


def cut(spans: Iterable[TimeSpan], limits: TimeSpan) -> list[TimeSpan]:
    """Return the parts of spans that are within limits."""
    parts = []
    for span in spans:
        part = TimeSpan(max(span.start, limits.start), min(span.end, limits.end))
        if part.start < part.end:
            parts.append(part)
    return parts


def agreed_seconds(coded: Sequence[TimeSpan], predicted: Sequence[TimeSpan]) -> float:
    """Integrate over time the smaller of the two numbers of individuals."""
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
    """A coded and a predicted bout, by index; pairs are sorted, the best one first."""

    negative_iou: float
    coded: int
    predicted: int


def count_matches(coded: Sequence[TimeSpan], predicted: Sequence[TimeSpan]) -> int:
    """Count pairs of a coded and a predicted bout, the best first, each bout once."""
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
