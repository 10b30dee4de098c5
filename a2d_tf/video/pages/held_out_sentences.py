"""Say in words how good a model is in videos that were held out of its training."""

from __future__ import annotations

from a2d_tf.core.counts import BehaviourCounts
from a2d_tf.runs.held_out_scores import HeldOutScores, SecondsScores, TrackScores


def of_model(held_out: HeldOutScores) -> str:
    """Say how many annotated objects, or coded seconds, a model labels right.

    Objects are counted for all behaviours together, seconds also for each behaviour.

    Args:
      held_out: scores of the model in videos that were held out.

    Returns:
      one sentence or several.
    """
    if isinstance(held_out.scores, SecondsScores):
        return _of_seconds(held_out.scores)
    videos = _count(held_out.scores.videos, "video")
    sentences = [f"In {videos} held out of the training {_of_tracks(held_out.scores)}."]
    if held_out.folds:
        tracks = held_out.folds.tracks
        sentences.append(
            f"In cross-validation, {held_out.folds.folds} further trainings without one"
            f" fold each of {tracks.videos} videos {_of_tracks(tracks)}."
        )
    sentences.append(
        "A right label on a poor outline (IoU below .5) counts as wrong here, so"
        " seconds may be better than these figures."
    )
    return " ".join(sentences)


def of_behaviour(behaviour: BehaviourCounts) -> str:
    """Say how much of a behaviour is found, and how much of its label is right.

    Args:
      behaviour: counts of the behaviour's annotated objects, or of its coded seconds.

    Returns:
      clauses, such as "found 5 of 10 in 1 video; 5 of 9 that got this label are right".
    """
    counts = behaviour.counts
    clauses = []
    if behaviour.is_tested:
        clause = f"found {_amount(counts.right)} of {_amount(counts.annotated)}"
        if behaviour.videos:
            clause += f" in {_count(behaviour.videos, 'video')}"
        clauses.append(clause)
    else:
        clauses.append("not tested")
    taken_for = behaviour.taken_for
    if taken_for:
        other = max(taken_for, key=lambda name: taken_for[name])
        clauses.append(f"{_amount(taken_for[other])} taken for {other}")
    if counts.predicted:
        share = f"{_amount(counts.right)} of {_amount(counts.predicted)}"
        clauses.append(f"{share} that got this label are right")
    return "; ".join(clauses)


def _of_tracks(scores: TrackScores) -> str:
    """Say what tracks found in the annotated frames of some videos."""
    total = scores.total
    right = _amount(total.right)
    return (
        f"({_count(scores.frames, 'annotated frame')}), tracks found {right} of"
        f" {_amount(total.annotated)} annotated objects; of the"
        f" {_amount(total.predicted)} labels given, {right} are right"
    )


def _of_seconds(scores: SecondsScores) -> str:
    """Say which part of the coded seconds got their behaviour."""
    shares = []
    for behaviour in scores.behaviours:
        counts = behaviour.counts
        shares.append(f"{behaviour.name} {_share(counts.right, counts.annotated)}")
    return (
        f"In {scores.videos} coded videos, each left out of the fit in turn,"
        f" {_share(scores.right, scores.seconds)} of the coded seconds got their"
        f" behaviour: {', '.join(shares)}."
    )


def _share(part: float, whole: float) -> str:
    """Format a part as a percentage; of nothing it is all."""
    share = part / whole if whole else 1
    return f"{100 * share:.0f} %"


def _amount(value: float) -> str:
    """Format a number of objects, or of seconds."""
    return f"{value:.1f}".removesuffix(".0")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
