"""a2d start --tracks: folds of the coded videos that are left out, and fewer videos."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.fold_scores import FoldScores
from a2d_tf.evaluation.metrics.behaviour_counts import Counts
from a2d_tf.training.given_tracks.coded_instances import CodedInstance
from a2d_tf.training.given_tracks.fit_tracks import TrackFit
from a2d_tf.training.given_tracks.left_out_videos import (
    LeftOutPredictor,
    ScoredInstance,
)
from a2d_tf.training.given_tracks.smaller_fits import smaller_fits


@dataclasses.dataclass(frozen=True)
class TrackFolds:
    """Folds of coded videos, and what fits to the others are made of.

    Attributes:
      folds: {name: its videos}.
      fit: to all coded videos.
      rows: all coded instances.
      predictor: predicts these.
    """

    folds: Mapping[str, Sequence[str]]
    fit: TrackFit
    rows: Sequence[CodedInstance]
    predictor: LeftOutPredictor

    def scores(self) -> list[FoldScores]:
        """Score each fold by the fit without its videos."""
        scores = []
        for name, videos in self.folds.items():
            scored = self.predictor.predict_left_out(self.fit, self.rows, [videos])
            scores.append(_count(name, scored, self.fit.labels))
        return scores

    def curve(self) -> dict[int, FoldScores]:
        """Score all folds by fits to fewer of the other videos: {their number: it}."""
        scored_of: dict[int, list[ScoredInstance]] = collections.defaultdict(list)
        fits = smaller_fits(
            self.predictor.videos, self.rows, self.fit.labels, list(self.folds.values())
        )
        for smaller in fits:
            scored_of[smaller.videos] += self.predictor.predict(
                smaller.weights, smaller.left_out
            )
        scores = {}
        for number, scored in scored_of.items():
            scores[number] = _count(str(number), scored, self.fit.labels)
        return scores


def _count(
    name: str, scored: Sequence[ScoredInstance], labels: LabelSpace
) -> FoldScores:
    """Count the seconds of scored instances."""
    coded: dict[int, float] = collections.defaultdict(float)
    right: dict[int, float] = collections.defaultdict(float)
    predicted: dict[int, float] = collections.defaultdict(float)
    for row in scored:
        seconds = row.coded.seconds
        coded[row.action] += seconds
        predicted[row.predicted] += seconds
        if row.action == row.predicted:
            right[row.action] += seconds
    counts = {}
    for index, action in enumerate(labels.actions):
        if index in coded or index in predicted:
            counts[action] = Counts(coded[index], right[index], predicted[index])
    videos = {row.coded.video for row in scored}
    return FoldScores(name, len(videos), counts)
