"""How far predicted bouts agree with those that a person coded in BORIS."""

from __future__ import annotations

import collections
import dataclasses
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

from a2d_tf.annotations import read_bouts
from a2d_tf.annotations.observations import check_coders
from a2d_tf.behaviour.bouts import Prediction
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.evaluation.metrics import Table

_LEAST_IOU = 0.5  # in time, of a coded and a predicted bout that match

Span = tuple[float, float]
"""(start, end) of a bout, seconds in the video."""
SpansByAction = dict[str, list[Span]]
"""Action -> its bouts of all individuals of a video."""


@dataclasses.dataclass
class _Agreement:
    """What was coded and predicted of an action, and how much of it agrees."""

    agreed_seconds: float = 0.0
    agreed_bouts: int = 0
    coded_seconds: float = 0.0
    coded_bouts: int = 0
    predicted_seconds: float = 0.0
    predicted_bouts: int = 0

    def add(self, coded: Sequence[Span], predicted: Sequence[Span]) -> None:
        """Add the bouts of a video."""
        self.agreed_seconds += _agreed_seconds(coded, predicted)
        self.agreed_bouts += _matching_bouts(coded, predicted)
        self.coded_seconds += _seconds(coded)
        self.coded_bouts += len(coded)
        self.predicted_seconds += _seconds(predicted)
        self.predicted_bouts += len(predicted)

    def figures(self, is_coded: bool) -> dict[str, Any]:
        """Return {figure: value}; the F1, in percent, are None if it is not coded."""
        figures = dataclasses.asdict(self)
        seconds = self.coded_seconds + self.predicted_seconds
        bouts = self.coded_bouts + self.predicted_bouts
        figures["f1_seconds"] = None
        figures["f1_bouts"] = None
        if is_coded and seconds:
            figures["f1_seconds"] = 200 * self.agreed_seconds / seconds
        if is_coded and bouts:
            figures["f1_bouts"] = 200 * self.agreed_bouts / bouts
        return figures


def read(path: str | os.PathLike) -> dict[str, SpansByAction]:
    """Read the coded state events of a file: {name of the video: bouts by action}.

    Raises:
      InputError: as of `read_bouts.read`, or two observations code one subject.
    """
    observations = read_bouts.read(path)
    check_coders(observations)
    videos: dict[str, SpansByAction] = {}
    for observation in observations:
        spans = videos.setdefault(observation.video, collections.defaultdict(list))
        for bout in observation.bouts:
            if bout.start < bout.end:
                spans[bout.action].append((bout.start, bout.end))
    return videos


def compare(
    coded: dict[str, SpansByAction], predictions: Iterable[Prediction]
) -> dict[str, Any]:
    """Compare bouts action by action, whichever individual they are of.

    At each moment the smaller of the two numbers of individuals agrees. A coded and a
    predicted bout match if their IoU in time is at least .5, each at most once. Only
    what was segmented counts.

    Returns:
      {"videos": names, "left_out": coded behaviours that the network does not know,
      "not_coded": predicted ones that no video has in BORIS, "actions": {action: coded,
      predicted and agreed seconds and bouts, and their F1 in percent, None of what is
      not coded}}.

    Raises:
      InputError: a coded video has no prediction, or no behaviour is an action of the
        network.
    """
    prediction_of = {prediction.name: prediction for prediction in predictions}
    missing = sorted(set(coded) - set(prediction_of))
    if missing:
        raise InputError(
            f"no prediction for {quoted(missing[0])}; predicted:"
            f" {sorted(prediction_of)}"
        )
    actions: set[str] = set()
    behaviours: set[str] = set()
    for name, coded_spans in coded.items():
        actions.update(prediction_of[name].video.labels.actions)
        behaviours.update(coded_spans)
    if not behaviours & actions:
        raise InputError(
            f"none of {sorted(behaviours)} is one of the actions {sorted(actions)}"
        )
    agreements: dict[str, _Agreement] = collections.defaultdict(_Agreement)
    for name, coded_spans in coded.items():
        prediction = prediction_of[name]
        predicted_spans = _spans_by_action(prediction)
        for action in sorted(actions & (behaviours | set(predicted_spans))):
            segmented = _cut(coded_spans.get(action, ()), prediction.video.span)
            agreements[action].add(segmented, predicted_spans.get(action, ()))
    figures = {}
    for action, agreement in agreements.items():
        figures[action] = agreement.figures(is_coded=action in behaviours)
    return {
        "videos": sorted(coded),
        "left_out": sorted(behaviours - actions),
        "not_coded": sorted(set(figures) - behaviours),
        "actions": figures,
    }


def table(comparison: dict[str, Any]) -> Table:
    """Return the table of what `compare` returned."""
    notes = []
    if comparison["left_out"]:
        notes.append(f"not actions of the network: {', '.join(comparison['left_out'])}")
    if comparison["not_coded"]:
        notes.append(f"not coded in BORIS: {', '.join(comparison['not_coded'])}")
    return Table(
        title=(
            "Bouts coded in BORIS and predicted," f" {len(comparison['videos'])} videos"
        ),
        columns={
            "coded_seconds": "coded seconds",
            "predicted_seconds": "predicted seconds",
            "coded_bouts": "coded bouts",
            "predicted_bouts": "predicted bouts",
            "f1_seconds": "F1 of seconds",
            "f1_bouts": "F1 of bouts",
        },
        rows=comparison["actions"],
        notes=tuple(notes),
    )


def _spans_by_action(prediction: Prediction) -> SpansByAction:
    spans = collections.defaultdict(list)
    for track in prediction.tracks:
        for bout in track.bouts:
            spans[bout.action].append((bout.start, bout.end))
    return spans


def _cut(spans: Iterable[Span], segmented: Span) -> list[Span]:
    """Return the parts of spans that were segmented."""
    first, last = segmented
    parts = []
    for start, end in spans:
        part = (max(start, first), min(end, last))
        if part[0] < part[1]:
            parts.append(part)
    return parts


def _seconds(spans: Iterable[Span]) -> float:
    return math.fsum(end - start for start, end in spans)


def _agreed_seconds(coded: Sequence[Span], predicted: Sequence[Span]) -> float:
    """Integrate over time the smaller number of individuals."""
    times: set[float] = set()
    for start, end in (*coded, *predicted):
        times.update((start, end))
    edges = sorted(times)
    agreed = []
    for start, end in zip(edges, edges[1:]):
        both = min(_count_at(coded, start), _count_at(predicted, start))
        agreed.append((end - start) * both)
    return math.fsum(agreed)


def _count_at(spans: Iterable[Span], time: float) -> int:
    return sum(start <= time < end for start, end in spans)


def _matching_bouts(coded: Sequence[Span], predicted: Sequence[Span]) -> int:
    """Count pairs of a coded and a predicted bout, the best first, each once."""
    pairs = []
    for i, (coded_start, coded_end) in enumerate(coded):
        for k, (start, end) in enumerate(predicted):
            both = min(coded_end, end) - max(coded_start, start)
            either = max(coded_end, end) - min(coded_start, start)
            if both > 0 and both / either >= _LEAST_IOU:
                pairs.append((-(both / either), i, k))
    matched_coded: set[int] = set()
    matched_predicted: set[int] = set()
    for _, i, k in sorted(pairs):
        if i not in matched_coded and k not in matched_predicted:
            matched_coded.add(i)
            matched_predicted.add(k)
    return len(matched_coded)
