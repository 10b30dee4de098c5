"""Compare two rounds, results of `a2d start`, on the same held-out frames.

The later round has more annotations, and perhaps more labels. A pair is an actor with
an action.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from a2d_tf.core.counts import Counts
from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.metrics.tables import Table
from a2d_tf.evaluation.own_labels.object_scores import ObjectScores

if TYPE_CHECKING:
    from a2d_tf.evaluation.boxes.instance_tables import Truth

_COLUMNS = {
    name: name for name in ("in all", "found before", "found", "wrong before", "wrong")
}


class NewPairs(NamedTuple):
    """The pairs of actor and action that a round knows, unlike the round before it.

    Attributes:
      labels: the label space of the round.
      names: the names of these pairs, as in `metrics.json`.
      frames: the names of the held-out frames that show such a pair.
    """

    labels: LabelSpace
    names: frozenset[str]
    frames: frozenset[str]

    @classmethod
    def of(cls, labels: LabelSpace, before: LabelSpace, truth: Truth) -> NewPairs:
        """Find the pairs of actor and action that an earlier label space lacks.

        Args:
          labels: the label space of the round.
          before: the label space of the round before it.
          truth: the true instances of the held-out frames, with codes of `labels`.
        """
        codes = []
        for code, pair in zip(labels.codes, labels.named_pairs):
            if pair not in before.named_pairs:
                codes.append(code)
        is_new = np.isin(truth.codes, codes)
        frames = truth.frames[truth.box_frame[is_new]]
        return cls(
            labels,
            names=frozenset(labels.name(code) for code in codes),
            frames=frozenset(frames.tolist()),
        )

    def wrong_beside(self, scores: ObjectScores) -> Counter[str]:
        """Count the wrong predictions of each pair in the frames that show new pairs.

        Args:
          scores: the scores of either round, with codes of `labels`.

        Returns:
          {name of a pair: number of wrong predictions of it in these frames}.
        """
        counts: Counter[str] = Counter()
        for frame in self.frames:
            for _, code in scores.mistakes.get(frame, ()):
                if code:
                    counts[self.labels.name(code)] += 1
        return counts


_NO_NEW_PAIRS = NewPairs(A2D, frozenset(), frozenset())


def compare(
    before: ObjectScores, now: ObjectScores, new_pairs: NewPairs = _NO_NEW_PAIRS
) -> Table:
    """Make a table of the objects that two rounds find, with notes on what changed.

    It has a row for each pair of an actor and an action. A pair is better or worse by
    its F1; if that is equal, by its wrong predictions. The round before could not know
    new pairs: in frames that show them, wrong predictions of other pairs do not count
    in the table.

    Args:
      before: the scores of the round before, in the label space of this one.
      now: the scores of this round.
      new_pairs: the pairs that the round before did not know; by default none.
    """
    rows: dict[str, dict[str, float]] = {}
    changes: dict[str, list[str]] = {"better": [], "worse": [], "as before": []}
    wrong_before = new_pairs.wrong_beside(before)
    wrong_now = new_pairs.wrong_beside(now)
    added = []
    for name, pair in now.pairs.items():
        if name in new_pairs.names:
            added.append(pair.name)
            if not pair.counts.is_empty:
                rows[name] = {
                    "in all": pair.counts.annotated,
                    "found": pair.counts.right,
                    "wrong": pair.counts.wrong,
                }
            continue
        old = _without_wrong(before.pairs[name].counts, wrong_before[name])
        new = _without_wrong(pair.counts, wrong_now[name])
        if old.is_empty and new.is_empty:
            continue
        changes[_change(old, new)].append(pair.name)
        rows[name] = {
            "in all": new.annotated,
            "found before": old.right,
            "found": new.right,
            "wrong before": old.wrong,
            "wrong": new.wrong,
        }
    notes = []
    for change, names in changes.items():
        if names:
            notes.append(f"{change}: {', '.join(names)}")
    if added:
        notes.append(
            f"new, and so without a round before: {', '.join(added)}; wrong"
            f" predictions of others in frames that show them ({len(new_pairs.frames)})"
            " count in the sentences above, but not in this table"
        )
    title = "Both rounds on the same held-out frames: numbers of instances"
    return Table(title, _COLUMNS, rows, notes=tuple(notes))


def _without_wrong(counts: Counts, wrong: int) -> Counts:
    """Return counts without some of the wrong predictions."""
    return dataclasses.replace(counts, predicted=counts.predicted - wrong)


def _change(before: Counts, now: Counts) -> str:
    """Say how the counts of a pair changed: "better", "worse" or "as before"."""
    rank_before = (before.f1 or 0.0, -before.wrong)
    rank_now = (now.f1 or 0.0, -now.wrong)
    if rank_now > rank_before:
        return "better"
    if rank_now < rank_before:
        return "worse"
    return "as before"
