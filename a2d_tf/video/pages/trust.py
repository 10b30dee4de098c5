"""What a page says of how far its labels can be trusted, by scores in held-out videos.

A held-out video is annotated, but the model was not trained on it. All figures on pages
are also in `held_out.csv`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from a2d_tf.core.counts import BehaviourCounts, by_name
from a2d_tf.evaluation.own_labels.unsure import LEAST_ANSWERS
from a2d_tf.runs.held_out_scores import HeldOutScores
from a2d_tf.runs.video_splits import HELD_OUT, NEW, TRAINED
from a2d_tf.video.pages import held_out_sentences
from a2d_tf.video.pages.held_out_table import percent

_ENOUGH = 50  # percent of the labels are right: more right ones than wrong ones
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
    """What a page says of one behaviour: a sentence and two bars.

    Attributes:
      sentence: how well the behaviour was told in the held-out videos.
      found: percentage of the annotated objects or seconds that were found, the length
        of the first bar; None for no bar.
      right: percentage of this behaviour's labels that are right, the length of the
        second bar; None for no bar.
      is_poor: whether fewer than half of its labels are right, or nobody knows.
    """

    sentence: str
    found: float | None
    right: float | None
    is_poor: bool


class Trust(NamedTuple):
    """What a page says above all else: how good its model is.

    Attributes:
      lead: sentences on all behaviours together.
      lines: a line for each behaviour that was tested or predicted.
      not_tested: names of the behaviours that no held-out video shows, joined by
        commas.
    """

    lead: str
    lines: list[Line]
    not_tested: str


def of_model(held_out: HeldOutScores | None) -> Trust | None:
    """Return what a page says of its model.

    Args:
      held_out: scores of the model in held-out videos; None if it has none.

    Returns:
      the sentences and bars; None without scores.
    """
    if held_out is None:
        return None
    before = by_name(held_out.before or ())
    in_folds = {}
    if held_out.folds:
        in_folds = by_name(held_out.folds.tracks.behaviours)
    lines = []
    not_tested = []
    for behaviour in held_out.scores.behaviours:
        name = behaviour.name
        if not behaviour.is_tested:
            not_tested.append(name)
        in_fold = in_folds.get(name)
        is_tested_in_folds = in_fold is not None and in_fold.is_tested
        if behaviour.counts.is_empty and not is_tested_in_folds:
            continue
        sentence = f"{name}: {held_out_sentences.of_behaviour(behaviour)}"
        if name in before:
            told_before = held_out_sentences.of_behaviour(before[name])
            sentence += f" (the round before: {told_before})"
        if in_fold:
            told_in_folds = held_out_sentences.of_behaviour(in_fold)
            sentence += f" (in cross-validation: {told_in_folds})"
        line = Line(
            sentence=f"{sentence}.",
            found=percent(behaviour.counts.recall),
            right=percent(behaviour.counts.precision),
            is_poor=_is_poor(behaviour),
        )
        lines.append(line)
    lead = held_out_sentences.of_model(held_out)
    return Trust(lead, lines, ", ".join(not_tested))


def doubts(
    held_out: HeldOutScores | None, pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Find the labels on a page that the model told poorly in held-out videos.

    These are labels of which fewer than half were right, or that were not tested.

    Args:
      held_out: scores of the model in held-out videos; None if it has none.
      pairs: the labels on the page, (actor, action) each.

    Returns:
      {(actor, action): a clause that says how well it was told}; {} without scores.
    """
    if held_out is None:
        return {}
    behaviours = by_name(held_out.scores.behaviours)
    reasons = {}
    for actor, action in pairs:
        for name in (f"{actor} {action}", f"{actor}-{action}", action, actor):
            if name in behaviours:
                behaviour = behaviours[name]
                if _is_poor(behaviour):
                    reasons[actor, action] = held_out_sentences.of_behaviour(behaviour)
                break
    return reasons


def of_unsure(held_out: HeldOutScores | None) -> str:
    """Say which bouts are called unsure on a page.

    Args:
      held_out: scores of the model in held-out videos; None if it has none.

    Returns:
      a sentence or two; "" if the model does not say which labels are unsure.
    """
    if held_out is None or held_out.unsure is None:
        return ""
    limit = held_out.unsure.below
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
    """Say what it means for a page what its video was to the model.

    Args:
      split: "trained", "held out" or "new"; None or "" if it is unknown.

    Returns:
      text without the last full stop; "" if the split is unknown.
    """
    return _OF_SPLIT.get(split or "", "")


def _is_poor(behaviour: BehaviourCounts) -> bool:
    """Return whether a label of this behaviour is to be doubted.

    It is if fewer than half of such labels were right, or the behaviour was not tested.
    """
    precision = behaviour.counts.precision
    return not behaviour.is_tested or precision is None or precision < _ENOUGH
