"""Sentences on how well the objects of a user's own labels are found."""

from __future__ import annotations

from collections.abc import Mapping

from a2d_tf.evaluation.own_labels.object_scores import PairScores


def of_pairs(pairs: Mapping[str, PairScores], frames_name: str) -> dict[str, str]:
    """Say how well each pair, an actor with an action, was found.

    Args:
      pairs: {name of a pair: its scores}.
      frames_name: what the frames are called in which objects were counted, such as
        "single frames".

    Returns:
      {name of a pair: sentence}, without pairs that were neither annotated nor
      predicted.
    """
    sentences = {}
    for name, pair in pairs.items():
        if not pair.counts.is_empty:
            sentences[name] = _of_pair(pair, frames_name)
    return sentences


def _of_pair(pair: PairScores, frames_name: str) -> str:
    counts = pair.counts
    where = frames_name
    if pair.videos:
        where += f" of {pair.videos} video{'' if pair.videos == 1 else 's'}"
    share = f"{counts.right} of {counts.annotated}"
    if not pair.frames:
        clauses = ["not tested"]
    elif counts.annotated == pair.frames:
        clauses = [f"found in {share} {where}"]
    else:
        clauses = [f"found {share} times in {pair.frames} {where}"]
    if counts.predicted and not counts.wrong:
        clauses.append("no prediction of it is wrong")
    elif counts.predicted:
        verb = "is" if counts.wrong == 1 else "are"
        wrong_share = f"{counts.wrong} of {counts.predicted}"
        clauses.append(f"{wrong_share} predictions of it {verb} wrong")
    return f"{pair.name}: {', '.join(clauses)}."
