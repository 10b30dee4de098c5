"""Which annotated objects of own labels are found: rows of metrics, `objects.json`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from a2d_tf.core.counts import BehaviourCounts, Counts
from a2d_tf.evaluation.own_labels.unsure import unsure_below
from a2d_tf.runs.held_out_scores import TrackScores


@dataclasses.dataclass(frozen=True)
class PairScores(BehaviourCounts):
    """How well the objects of a pair are found.

    Attributes:
      frames: number of the frames that show it.
    """

    frames: int = 0

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> PairScores:
        """Return the scores that a row of "behaviours" in `metrics.json` holds."""
        return cls(
            name=row["name"],
            counts=Counts(row["instances"], row["found"], row["findings"]),
            videos=row.get("videos"),  # scores of earlier versions do not say it
            taken_for=row.get("taken_for"),
            frames=row["frames"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields that `from_json` reads."""
        row: dict[str, Any] = {
            "name": self.name,
            "frames": self.frames,
            "instances": self.counts.annotated,
            "found": self.counts.right,
            "findings": self.counts.predicted,
        }
        if self.videos is not None:
            row["videos"] = self.videos
        if self.taken_for is not None:
            row["taken_for"] = dict(self.taken_for)
        return row


def pairs_of_metrics(metrics: Mapping[str, Any]) -> dict[str, PairScores]:
    """Return {name of a pair: its scores} of `metrics.json`.

    Its other rows, of actors and of actions, have no counts of objects.
    """
    pairs = {}
    for name, row in metrics.get("behaviours", {}).items():
        if "instances" in row:
            pairs[name] = PairScores.from_json(row)
    return pairs


@dataclasses.dataclass(frozen=True)
class ObjectScores:
    """Which annotated objects the tracks of predictions find.

    Attributes:
      videos: names of the videos.
      frames: number of their annotated frames.
      pairs: {name of a pair: its scores}, of all pairs of the label space.
      mistakes: {name of a frame: [[true code or 0, code or 0]]}.
      answers: [[mean score of the bout, whether it is right]], one for each predicted
        object.
    """

    videos: list[str]
    frames: int
    pairs: dict[str, PairScores]
    mistakes: dict[str, list[list[int]]]
    answers: list[list[Any]]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ObjectScores:
        """Return the scores that `objects.json` holds."""
        return cls(
            videos=fields["videos"],
            frames=fields["frames"],
            pairs=pairs_of_metrics(fields),
            mistakes=fields["mistakes"],
            answers=fields.get("answers", []),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields that `from_json` reads."""
        return {
            "videos": self.videos,
            "frames": self.frames,
            "behaviours": {name: pair.to_json() for name, pair in self.pairs.items()},
            "mistakes": self.mistakes,
            "answers": self.answers,
        }

    @classmethod
    def sum_of(cls, parts: Sequence[ObjectScores]) -> ObjectScores:
        """Add up the scores of different videos with the same labels."""
        pairs = {}
        for name in parts[0].pairs:
            pairs[name] = _sum_of_pairs([part.pairs[name] for part in parts])
        videos: list[str] = []
        mistakes: dict[str, list[list[int]]] = {}
        answers: list[list[Any]] = []
        for part in parts:
            videos.extend(part.videos)
            mistakes.update(part.mistakes)
            answers.extend(part.answers)
        frames = sum(part.frames for part in parts)
        return cls(videos, frames, pairs, mistakes, answers)

    def track_scores(self) -> TrackScores:
        """Return what a model keeps of them."""
        return TrackScores(len(self.videos), self.frames, self.behaviours())

    def behaviours(self, unknown: Collection[str] = ()) -> tuple[PairScores, ...]:
        """Return the scores of pairs that a model can tell.

        Args:
          unknown: names of the pairs that it cannot tell.
        """
        known = [pair for name, pair in self.pairs.items() if name not in unknown]
        return tuple(known)

    def unsure_below(self) -> float | None:
        """Return the score below which the labels of tracks are unsure."""
        return unsure_below(
            np.array([score for score, _ in self.answers]),
            right=np.array([is_right for _, is_right in self.answers], bool),
            seconds=np.ones(len(self.answers)),
        )

    def in_metrics(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return metrics of single frames with the counts and mistakes of tracks."""
        return metrics_of_tracks(metrics, self.to_json())


def metrics_of_tracks(
    metrics: Mapping[str, Any], objects: Mapping[str, Any]
) -> dict[str, Any]:
    """Return metrics of single frames with the counts and mistakes of tracks.

    Args:
      metrics: as in `metrics.json`, with "behaviours".
      objects: as in `objects.json`, of the same frames.
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


def _sum_of_pairs(scores: Sequence[PairScores]) -> PairScores:
    """Add up the scores of one pair in different videos."""
    taken_for: Counter[str] = Counter()
    for of_videos in scores:
        taken_for.update(of_videos.taken_for or {})
    return PairScores(
        name=scores[0].name,
        counts=sum((of_videos.counts for of_videos in scores), Counts()),
        videos=sum(of_videos.videos or 0 for of_videos in scores),
        taken_for=dict(taken_for),
        frames=sum(of_videos.frames for of_videos in scores),
    )
