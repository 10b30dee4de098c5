"""Counts of the annotated objects that are found, in `metrics.json` and `objects.json`.

`metrics.json` counts the instances of single frames, `objects.json` those of tracks.
"""

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
    """How well the objects of one pair, an actor with an action, are found.

    Attributes:
      frames: the number of annotated frames that show such an object.
    """

    frames: int = 0

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> PairScores:
        """Read the scores of a pair from a JSON object.

        Args:
          row: a value of "behaviours" in `metrics.json` or `objects.json`, as `to_json`
            returns it.
        """
        return cls(
            name=row["name"],
            counts=Counts(row["instances"], row["found"], row["findings"]),
            videos=row.get("videos"),  # scores of earlier versions do not say it
            taken_for=row.get("taken_for"),
            frames=row["frames"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the scores as a JSON object that `from_json` reads.

        Returns:
          {"name", "frames", "instances": number of annotated objects, "found": number
          of these that are found, "findings": number of predicted objects}, and if
          known "videos" and "taken_for".
        """
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
    """Read the scores of the pairs from the contents of `metrics.json`.

    Rows of actors alone and of actions alone are left out: they have no counts.

    Args:
      metrics: the contents of `metrics.json` or `objects.json`.

    Returns:
      {name of a pair: its scores}; empty with A2D's labels.
    """
    pairs = {}
    for name, row in metrics.get("behaviours", {}).items():
        if "instances" in row:
            pairs[name] = PairScores.from_json(row)
    return pairs


@dataclasses.dataclass(frozen=True)
class ObjectScores:
    """How many annotated objects the tracks of predicted videos find.

    These are the contents of `objects.json`, which `a2d score objects` writes.

    Attributes:
      videos: the names of the videos.
      frames: the number of their annotated frames.
      pairs: {name of a pair: its scores}, of all pairs of the label space.
      mistakes: {name of a frame: [[true code, predicted code]]}, the wrong predictions
        and the missed objects; the true code is 0 if no object is there, the predicted
        code if the object is missed.
      answers: [[mean score of the bout that the object belongs to, whether the object
        is right]], one for each predicted object.
    """

    videos: list[str]
    frames: int
    pairs: dict[str, PairScores]
    mistakes: dict[str, list[list[int]]]
    answers: list[list[Any]]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ObjectScores:
        """Read the scores from the contents of `objects.json`.

        Args:
          fields: {"videos", "frames", "behaviours", "mistakes", "answers"}, as
            `to_json` returns them.
        """
        return cls(
            videos=fields["videos"],
            frames=fields["frames"],
            pairs=pairs_of_metrics(fields),
            mistakes=fields["mistakes"],
            answers=fields.get("answers", []),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the contents of `objects.json`, which `from_json` reads.

        Returns:
          {"videos", "frames", "behaviours": {name of a pair: the JSON object of its
          scores}, "mistakes", "answers"}, see the attributes.
        """
        return {
            "videos": self.videos,
            "frames": self.frames,
            "behaviours": {name: pair.to_json() for name, pair in self.pairs.items()},
            "mistakes": self.mistakes,
            "answers": self.answers,
        }

    @classmethod
    def sum_of(cls, parts: Sequence[ObjectScores]) -> ObjectScores:
        """Add up scores of different videos, such as those of each fold.

        Args:
          parts: one or more scores, with the same labels.
        """
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
        """Return the scores that a model keeps in `held_out.json`.

        They are the counts of each pair, and the numbers of videos and frames.
        """
        return TrackScores(len(self.videos), self.frames, self.behaviours())

    def behaviours(self, unknown: Collection[str] = ()) -> tuple[PairScores, ...]:
        """Return the scores of the pairs of actor and action that a model can predict.

        Args:
          unknown: names of the pairs that it cannot predict, because it was not trained
            on them.
        """
        known = [pair for name, pair in self.pairs.items() if name not in unknown]
        return tuple(known)

    def unsure_below(self) -> float | None:
        """Compute the score below which labels of tracks are more likely wrong.

        Returns:
          a score from 0 to 1, by the function `unsure_below` with equal weights; None
          if fewer than 20 objects were predicted.
        """
        return unsure_below(
            np.array([score for score, _ in self.answers]),
            right=np.array([is_right for _, is_right in self.answers], bool),
            seconds=np.ones(len(self.answers)),
        )

    def in_metrics(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Return the contents of a `metrics.json`, with these counts put in.

        Args:
          metrics: the contents of the `metrics.json` of the same frames, whose counts
            are those of single frames.
        """
        return metrics_of_tracks(metrics, self.to_json())


def metrics_of_tracks(
    metrics: Mapping[str, Any], objects: Mapping[str, Any]
) -> dict[str, Any]:
    """Replace the counts and mistakes of single frames by those of tracks.

    Args:
      metrics: the contents of a `metrics.json`, with "behaviours".
      objects: the contents of the `objects.json` of the same frames.

    Returns:
      the changed contents of `metrics.json`, with "in_tracks": True and without
      "confusions".
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
