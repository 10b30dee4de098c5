"""How far predicted bouts agree with those that a person coded in BORIS."""

from __future__ import annotations

import collections
import math
import os
from collections.abc import Iterable
from typing import Any

from a2d_tf.annotations import read_bouts
from a2d_tf.behaviour.bouts import Prediction
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.evaluation.metrics import Table

_MATCH = 0.5  # least IoU in time of two bouts that are one
_UNITS = ("seconds", "bouts")

Spans = dict[str, list[tuple[float, float]]]
"""Action -> its bouts of all individuals, (start, end) in seconds in the video."""


def read(path: str | os.PathLike) -> dict[str, Spans]:
    """Read the state events of a file by the name of their video; errors as of
    `read_bouts`.
    """
    observations = read_bouts.read(path)
    read_bouts.check_coders(observations)
    found: dict[str, Spans] = {}
    for each in observations:
        spans = found.setdefault(each.video, collections.defaultdict(list))
        for bout in each.bouts:
            if bout.start < bout.end:
                spans[bout.action].append((bout.start, bout.end))
    return found


def compare(coded: dict[str, Spans], predictions: Iterable[Prediction]) -> dict:
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
    known = {each.name: each for each in predictions}
    if absent := sorted(set(coded) - set(known)):
        raise InputError(
            f"no prediction for {quoted(absent[0])}; predicted: {sorted(known)}"
        )
    actions = {action for name in coded for action in known[name].video.labels.actions}
    behaviours = {behaviour for spans in coded.values() for behaviour in spans}
    if not behaviours & actions:
        raise InputError(
            f"none of {sorted(behaviours)} is one of the actions {sorted(actions)}"
        )
    figures: dict[str, Any] = collections.defaultdict(collections.Counter)
    for name, spans in coded.items():
        begin, until = known[name].video.span
        own = collections.defaultdict(list)
        for track in known[name].tracks:
            for bout in track.bouts:
                own[bout.action].append((bout.start, bout.end))
        for action in sorted(actions & (behaviours | set(own))):
            cut = [(max(a, begin), min(b, until)) for a, b in spans.get(action, ())]
            true = [span for span in cut if span[0] < span[1]]
            figures[action].update(_figures(true, own[action]))
    for action, found in figures.items():
        for unit in _UNITS:
            both = found[f"coded_{unit}"] + found[f"predicted_{unit}"]
            is_known = both and action in behaviours
            found[f"f1_{unit}"] = (
                200 * found[f"agreed_{unit}"] / both if is_known else None
            )
    lists = {
        "left_out": sorted(behaviours - actions),
        "not_coded": sorted({*figures} - behaviours),
    }
    return {"videos": sorted(coded), **lists, "actions": figures}


def table(found: dict) -> Table:
    """Return the table of what `compare` found."""
    names = [f"{who} {unit}" for unit in _UNITS for who in ("coded", "predicted")]
    columns = {name.replace(" ", "_"): name for name in names}
    columns |= {f"f1_{unit}": f"F1 of {unit}" for unit in _UNITS}
    title = f"Bouts coded in BORIS and predicted, {len(found['videos'])} videos"
    said = {"left_out": "not actions of the network", "not_coded": "not coded in BORIS"}
    notes = tuple(
        f"{text}: {', '.join(found[key])}" for key, text in said.items() if found[key]
    )
    return Table(title, columns, found["actions"], notes=notes)


def _figures(coded, predicted):
    """Return {figure: value} of the spans of an action in a video."""
    found = {"agreed_seconds": _agreed(coded, predicted)}
    found["agreed_bouts"] = _matched(coded, predicted)
    for who, spans in (("coded", coded), ("predicted", predicted)):
        found[f"{who}_seconds"] = math.fsum(end - start for start, end in spans)
        found[f"{who}_bouts"] = len(spans)
    return found


def _agreed(first, second):
    """Integrate over time the smaller number of individuals, seconds."""
    edges = sorted({edge for span in (*first, *second) for edge in span})
    return math.fsum(
        (end - start)
        * min(sum(a <= start < b for a, b in spans) for spans in (first, second))
        for start, end in zip(edges, edges[1:])
    )


def _matched(first, second):
    """Count pairs of bouts, the best first, each at most once."""
    pairs = []
    for i, (a, b) in enumerate(first):
        for j, (c, d) in enumerate(second):
            both = min(b, d) - max(a, c)
            if both > 0 and (iou := both / (max(b, d) - min(a, c))) >= _MATCH:
                pairs.append((-iou, i, j))
    used: set[tuple[str, int]] = set()
    for _, i, j in sorted(pairs):
        if not {("first", i), ("second", j)} & used:
            used |= {("first", i), ("second", j)}
    return len(used) // 2
