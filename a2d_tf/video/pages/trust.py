"""How far a page is to be trusted: what videos held out say, for tables and templates.

All figures on pages are those of `table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from a2d_tf.evaluation.unsure import LEAST_ANSWERS
from a2d_tf.runs import held_out_scores
from a2d_tf.runs.held_out_scores import Behaviour
from a2d_tf.runs.video_splits import HELD_OUT, NEW, TRAINED

TABLE = "held_out.csv"
"""Of a library: how well each behaviour is told in videos held out."""
COLUMNS = (
    "behaviour",
    "unit",
    "annotated",
    "videos",
    "right",
    "predicted",
    "recall",
    "precision",
    "f1",
    "taken_for",
    "right_before",
    "predicted_before",
    "annotated_in_folds",
    "videos_in_folds",
    "right_in_folds",
    "predicted_in_folds",
    "unsure_below",
)
_ENOUGH = 0.5  # of what gets a label is right: more right than wrong
_OF_SPLIT = {
    TRAINED: "the model was trained on this video: right labels here prove nothing for"
    " new ones",
    HELD_OUT: "annotated, but held out of the training: this video is one of those that"
    " the figures below count",
    NEW: "nobody annotated this video. The model knows no behaviours but those it was"
    " taught, and gives anything else one of their names: play the video, and see"
    " whether the names below fit",
}


class Line(NamedTuple):
    """What a page says of a behaviour.

    Attributes:
      sentence: how well it was told.
      found, right: percent of a bar each; None for no bar.
      is_poor: whether more of its labels are wrong than right, or nobody knows.
    """

    sentence: str
    found: float | None
    right: float | None
    is_poor: bool


class Trust(NamedTuple):
    """What a page says above all else.

    Attributes:
      lead: a sentence on the whole.
      lines: one a behaviour that was tested or predicted.
      not_tested: names of behaviours that no video held out shows.
    """

    lead: str
    lines: list[Line]
    not_tested: str


def of_model(fields: Mapping[str, Any] | None) -> Trust | None:
    """Return what pages say of a model; None if it does not say how good it is."""
    if fields is None:
        return None
    before = _by_name(fields.get("before", {}))
    in_folds = _by_name(fields.get("folds", {}).get("behaviours", {}))
    lines = []
    not_tested = []
    for row in held_out_scores.behaviours(fields["behaviours"]):
        if not row.is_tested:
            not_tested.append(row.name)
        in_fold = in_folds.get(row.name)
        is_told = row.is_tested or row.predicted or (in_fold and in_fold.is_tested)
        if not is_told:
            continue
        sentence = f"{row.name}: {row.clauses()}"
        if row.name in before:
            sentence += f" (the round before: {before[row.name].clauses()})"
        if in_fold:
            sentence += f" (in cross-validation: {in_fold.clauses()})"
        line = Line(
            sentence=f"{sentence}.",
            found=_percent(row.recall),
            right=_percent(row.precision),
            is_poor=_is_poor(row),
        )
        lines.append(line)
    return Trust(held_out_scores.sentence(fields), lines, ", ".join(not_tested))


def table(fields: Mapping[str, Any]) -> list[Sequence[Any]]:
    """Return the rows of `TABLE`."""
    before = _by_name(fields.get("before", {}))
    in_folds = _by_name(fields.get("folds", {}).get("behaviours", {}))
    rows: list[Sequence[Any]] = [COLUMNS]
    for row in held_out_scores.behaviours(fields["behaviours"]):
        of_before: list[float | None] = [None, None]
        if row.name in before:
            of_before = [before[row.name].right, before[row.name].predicted]
        of_folds: list[float | None] = [None] * 4
        if row.name in in_folds:
            fold_row = in_folds[row.name]
            of_folds = [
                fold_row.amount,
                fold_row.videos,
                fold_row.right,
                fold_row.predicted,
            ]
        rows.append(
            [
                row.name,
                row.unit,
                row.amount,
                row.videos,
                row.right,
                row.predicted,
                _percent(row.recall),
                _percent(row.precision),
                _percent(row.f1),
                "; ".join(f"{name} {row.taken_for[name]}" for name in row.taken_for),
                *of_before,
                *of_folds,
                fields.get("unsure_below"),
            ]
        )
    return rows


def doubts(
    fields: Mapping[str, Any] | None, pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return the pairs on a page that videos held out do not speak for, and why.

    Args:
      fields: of the model, see `held_out`; None: nobody knows of any.
      pairs: (actor, action).
    """
    if fields is None:
        return {}
    rows = _by_name(fields["behaviours"])
    reasons = {}
    for actor, action in pairs:
        for name in (f"{actor} {action}", f"{actor}-{action}", action, actor):
            if name in rows:
                if _is_poor(rows[name]):
                    reasons[actor, action] = rows[name].clauses()
                break
    return reasons


def of_unsure(fields: Mapping[str, Any] | None) -> str:
    """Say which labels are unsure; empty if the model does not say that.

    Args:
      fields: of the model, see `held_out_scores`; None: nobody knows.
    """
    if fields is None or "unsure_below" not in fields:
        return ""
    limit = fields["unsure_below"]
    if limit is None:
        return (
            f"Fewer than {LEAST_ANSWERS} labels could be compared in videos held out:"
            " too few to say below which score a label is unsure."
        )
    if limit == 0:
        return (
            "In videos held out, labels with low scores, too, were rather right than"
            " wrong: no label is called unsure."
        )
    return (
        f"Unsure, and pale on the page of a video, are bouts with a score below"
        f" {limit:g}: in videos held out, such labels were rather wrong than right. The"
        " seconds count them, too, and those that are unsure stand in the last column."
    )


def of_split(split: str | None) -> str:
    """Say what a video was to the model; empty if nobody knows."""
    return _OF_SPLIT.get(split or "", "")


def _by_name(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Behaviour]:
    """Return the behaviours of "behaviours" in a `held_out` field by their names."""
    return {row.name: row for row in held_out_scores.behaviours(rows)}


def _is_poor(row: Behaviour) -> bool:
    precision = row.precision
    return not row.is_tested or precision is None or precision < _ENOUGH


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)
