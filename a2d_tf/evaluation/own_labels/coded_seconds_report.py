"""Report of how well coded seconds are predicted: sentences, tables and a picture."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

from a2d_tf.core.counts import BehaviourCounts
from a2d_tf.core.files import write_bytes, write_csv, write_json
from a2d_tf.evaluation.own_labels.coded_seconds import CodedSeconds

NOTE = (
    "each coded video was scored by a fit without it, whose labels its page shows (the"
    " weights follow exactly from the fit to all; scales and shares of features are"
    " those of all)"
)
"""A note in `scores.json` on how the scores were computed."""
_ENOUGH_SECONDS = 20.0
_ENOUGH_VIDEOS = 3
_SEEN_FIRST = 5  # videos that are named
_COLUMNS = ("behaviour", "coded", "predicted", "right", "videos")


def lines(scores: CodedSeconds) -> list[str]:
    """Say how well each behaviour was predicted, and what to code or look at next.

    Args:
      scores: the coded and right seconds of behaviours and videos.

    Returns:
      sentences: one for each behaviour, then one with the videos that agree least, then
      one with the behaviours of which too little is coded.
    """
    sentences = [_sentence(behaviour) for behaviour in scores.behaviours]
    disagreeing = [video for video in scores.videos if video.right < video.coded]
    if disagreeing:
        texts = []
        for video in disagreeing[:_SEEN_FIRST]:
            texts.append(f"{video.name} ({100 * video.share:.0f} % agree)")
        sentences.append(f"look at these first: {', '.join(texts)}")
    few = []
    for behaviour in scores.behaviours:
        coded = behaviour.counts.annotated
        if coded < _ENOUGH_SECONDS or (behaviour.videos or 0) < _ENOUGH_VIDEOS:
            few.append(f"{behaviour.name} ({_seconds(coded)} s)")
    if few:
        sentences.append(
            f"code more of: {', '.join(few)}; some {_ENOUGH_SECONDS:.0f} s in"
            f" {_ENOUGH_VIDEOS} videos or more"
        )
    return sentences


def write(folder: str | os.PathLike, scores: CodedSeconds) -> None:
    """Write the scores as `scores.json`, `scores.csv` and `confusion.png`.

    Args:
      folder: the folder for the three files.
      scores: the coded and right seconds of behaviours and videos.
    """
    behaviours = []
    rows: list[tuple] = [_COLUMNS]
    for behaviour in scores.behaviours:
        counts = behaviour.counts
        fields: dict[str, Any] = {
            "name": behaviour.name,
            "coded": counts.annotated,
            "predicted": counts.predicted,
            "right": counts.right,
            "videos": behaviour.videos,
        }
        rows.append(tuple(fields.values()))
        behaviours.append({**fields, "confused": behaviour.taken_for})
    content = {
        "note": NOTE,
        "behaviours": behaviours,
        "videos": [dataclasses.asdict(video) for video in scores.videos],
    }
    write_json(os.path.join(folder, "scores.json"), content)
    write_csv(os.path.join(folder, "scores.csv"), rows)
    write_bytes(os.path.join(folder, "confusion.png"), _picture(scores))


def _sentence(behaviour: BehaviourCounts) -> str:
    """Say how well a behaviour was found."""
    counts = behaviour.counts
    if behaviour.videos == 1:
        return (
            f"{behaviour.name}: {_seconds(counts.annotated)} seconds of one video,"
            " which nothing tells once that is left out; code it in another"
        )
    text = (
        f"{behaviour.name}: found in {_seconds(counts.right)} of"
        f" {_seconds(counts.annotated)} coded seconds"
    )
    if counts.predicted:
        text += (
            f"; of {_seconds(counts.predicted)} predicted {_seconds(counts.right)} are"
            " right"
        )
    text += f"; in {behaviour.videos} videos left out"
    taken_for = behaviour.taken_for
    if taken_for:
        other = max(taken_for, key=lambda name: taken_for[name])
        if taken_for[other] >= 0.1 * counts.annotated:
            text += f"; {_seconds(taken_for[other])} were taken for {other}"
    return text


def _picture(scores: CodedSeconds) -> bytes:
    """Draw the confusion matrix of coded and predicted seconds, as a PNG."""
    from a2d_tf.evaluation.reports import charts  # Matplotlib loads for a second

    names = [behaviour.name for behaviour in scores.behaviours]
    for behaviour in scores.behaviours:
        taken_for = behaviour.taken_for or {}
        names.extend(name for name in taken_for if name not in names)
    seconds = np.zeros((len(names), len(names)))
    for i, behaviour in enumerate(scores.behaviours):
        seconds[i, i] = behaviour.counts.right
        for name, taken_seconds in (behaviour.taken_for or {}).items():
            seconds[i, names.index(name)] = taken_seconds
    return charts.confusion(seconds, names, title="Seconds")


def _seconds(value: float) -> str:
    """Format seconds: whole ones from 10 on."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
