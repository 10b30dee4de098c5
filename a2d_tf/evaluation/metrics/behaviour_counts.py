"""What the counts of a user's own behaviours say: in words, and of two rounds.

They are read from "behaviours" in `metrics.json`, see `behaviours.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import A2D, LabelSpace
from a2d_tf.evaluation.metrics.tables import Table
from a2d_tf.evaluation.unsure import unsure_below

if TYPE_CHECKING:
    from a2d_tf.evaluation.box_data import Truth

_COLUMNS = {
    name: name for name in ("in all", "found before", "found", "wrong before", "wrong")
}


class Counts(NamedTuple):
    """The numbers of objects of one pair, or of seconds of a behaviour.

    Attributes:
      annotated: of true objects.
      right: of those that are found.
      predicted: of predicted objects, right or wrong.
    """

    annotated: float
    right: float
    predicted: float

    @classmethod
    def of(cls, row: dict) -> Counts:
        """Return the counts of a row of "behaviours" in `metrics.json`."""
        return cls(
            annotated=row.get("instances", 0),
            right=row.get("found", 0),
            predicted=row.get("findings", 0),
        )

    @property
    def wrong(self) -> float:
        """The number of predicted objects that are wrong."""
        return self.predicted - self.right

    def without(self, wrong: int) -> Counts:
        """Return the counts without some of the wrong predictions."""
        return self._replace(predicted=self.predicted - wrong)

    def f1(self) -> float:
        """Return the harmonic mean of recall and precision, 0 to 1."""
        if not self.right:
            return 0.0
        return 2 * self.right / (self.annotated + self.predicted)


def sentences(metrics: dict, frames_name: str = "frames") -> dict[str, str]:
    """Say how well each pair was found: {name of the pair: sentence}.

    Pairs that were neither annotated nor predicted are left out.

    Args:
      metrics: as in `metrics.json`; without counts of pairs the result is empty.
      frames_name: what the frames are called in which instances were counted.
    """
    told = {}
    for pair, row in metrics.get("behaviours", {}).items():
        counts = Counts.of(row)
        if not counts.annotated and not counts.predicted:
            continue
        frames = row["frames"]
        where = frames_name
        videos = row.get("videos")  # scores of earlier versions do not say it
        if videos:
            where += f" of {videos} video{'' if videos == 1 else 's'}"
        share = f"{counts.right} of {counts.annotated}"
        if not frames:
            clauses = ["not tested"]
        elif counts.annotated == frames:
            clauses = [f"found in {share} {where}"]
        else:
            clauses = [f"found {share} times in {frames} {where}"]
        if counts.predicted and not counts.wrong:
            clauses.append("no prediction of it is wrong")
        elif counts.predicted:
            verb = "is" if counts.wrong == 1 else "are"
            wrong_share = f"{counts.wrong} of {counts.predicted}"
            clauses.append(f"{wrong_share} predictions of it {verb} wrong")
        told[pair] = f"{row['name']}: {', '.join(clauses)}."
    return told


def of_tracks(metrics: dict, objects: dict) -> dict:
    """Return metrics of single frames with the counts and mistakes of tracks.

    Args:
      metrics: as in `metrics.json`, with "behaviours".
      objects: of `a2d score objects`, on the same frames.
    """
    rows = {}
    for name, row in metrics["behaviours"].items():
        rows[name] = {**row, **objects["behaviours"].get(name, {})}
    return {
        **metrics,
        "behaviours": rows,
        "mistakes": objects["mistakes"],
        "confusions": [],  # of single frames
        "in_tracks": True,
    }


def added_up(parts: Sequence[dict]) -> dict:
    """Add up metrics of `a2d score objects` of different videos and the same labels."""
    behaviours = {}
    for pair, row in parts[0]["behaviours"].items():
        rows = [part["behaviours"][pair] for part in parts]
        taken_for: Counter[str] = Counter()
        for of_part in rows:
            taken_for.update(of_part["taken_for"])
        behaviours[pair] = {"name": row["name"], "taken_for": dict(taken_for)}
        for number in ("frames", "videos", "instances", "found", "findings"):
            behaviours[pair][number] = sum(of_part[number] for of_part in rows)
    mistakes: dict[str, Any] = {}
    videos: list[str] = []
    for part in parts:
        mistakes.update(part["mistakes"])
        videos.extend(part["videos"])
    return {
        "videos": videos,
        "frames": sum(part["frames"] for part in parts),
        "behaviours": behaviours,
        "mistakes": mistakes,
    }


def limit_of_unsure(metrics: dict) -> float | None:
    """Return the score below which the labels of tracks are unsure, see `unsure`.

    Args:
      metrics: of `a2d score objects`.
    """
    answers = metrics["answers"]
    return unsure_below(
        np.array([score for score, _ in answers]),
        right=np.array([is_right for _, is_right in answers], bool),
        seconds=np.ones(len(answers)),
    )


def held_out(metrics: dict, unknown: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the counts of each pair as a model keeps them, see `runs.held_out_scores`.

    Args:
      metrics: of `a2d score objects`.
      unknown: names of pairs that the model cannot tell; they are left out.
    """
    behaviours = {}
    for pair, row in metrics["behaviours"].items():
        if pair in unknown:
            continue
        counts = Counts.of(row)
        behaviours[row["name"]] = {
            "objects": counts.annotated,
            "videos": row["videos"],
            "right": counts.right,
            "predicted": counts.predicted,
            "taken_for": row["taken_for"],
        }
    return behaviours


class NewPairs(NamedTuple):
    """The pairs that a round knows and the one before did not.

    Attributes:
      labels: of the round.
      names: of these pairs, as in `metrics.json`.
      frames: names of the frames that show them.
    """

    labels: LabelSpace
    names: frozenset[str]
    frames: frozenset[str]

    @classmethod
    def of(cls, labels: LabelSpace, before: LabelSpace, truth: Truth) -> NewPairs:
        """Return the pairs that are in `labels` but not in `before`.

        Args:
          truth: of the frames, in `labels`.
        """
        codes = []
        for code, pair in zip(labels.codes, labels.named_pairs):
            if pair not in before.named_pairs:
                codes.append(code)
        shown = truth.box_frame[np.isin(truth.codes, codes)]
        return cls(
            labels,
            names=frozenset(labels.name(code) for code in codes),
            frames=frozenset(truth.frames[shown].tolist()),
        )

    def wrong_beside(self, metrics: dict) -> Counter[str]:
        """Count the wrong predictions of each pair in these frames, by its name."""
        counts: Counter[str] = Counter()
        for frame in self.frames:
            for _, code in metrics["mistakes"].get(frame, ()):
                if code:
                    counts[self.labels.name(code)] += 1
        return counts


_NO_NEW_PAIRS = NewPairs(A2D, frozenset(), frozenset())


def compared(before: dict, now: dict, new_pairs: NewPairs = _NO_NEW_PAIRS) -> Table:
    """Put the counts of two rounds on the same frames side by side.

    A pair is better or worse by F1; if that is equal, by wrong predictions. The round
    before could not know new pairs: in frames that show them, wrong predictions of
    other pairs are not counted.

    Args:
      before, now: `metrics.json` of the rounds, both with the labels of this one.
      new_pairs: those that the round before did not know.
    """
    rows = {}
    changes: dict[str, list[str]] = {"better": [], "worse": [], "as before": []}
    left_out_before = new_pairs.wrong_beside(before)
    left_out = new_pairs.wrong_beside(now)
    added = []
    for pair, row in now["behaviours"].items():
        new = Counts.of(row)
        if pair in new_pairs.names:
            added.append(row["name"])
            if any(new):
                rows[pair] = {
                    "in all": new.annotated,
                    "found": new.right,
                    "wrong": new.wrong,
                }
            continue
        old = Counts.of(before["behaviours"][pair]).without(left_out_before[pair])
        new = new.without(left_out[pair])
        if not any(old) and not any(new):
            continue
        old_rank = (old.f1(), -old.wrong)
        new_rank = (new.f1(), -new.wrong)
        if new_rank > old_rank:
            changes["better"].append(row["name"])
        elif new_rank < old_rank:
            changes["worse"].append(row["name"])
        else:
            changes["as before"].append(row["name"])
        rows[pair] = {
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
