"""Folds of coded videos, each scored by fits to the other videos or to fewer."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from a2d_tf.core.counts import Counts
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.own_labels.fold_scores import FoldScores
from a2d_tf.training.given_tracks.coded_instances import CodedInstance
from a2d_tf.training.given_tracks.fit_tracks import TrackFit
from a2d_tf.training.given_tracks.left_out_videos import (
    LeftOutPredictor,
    ScoredInstance,
)
from a2d_tf.training.given_tracks.smaller_fits import smaller_fits


@dataclasses.dataclass(frozen=True)
class TrackFolds:
    """The folds of the coded videos of a round, to be scored.

    Attributes:
      folds: {name of a fold: its videos}.
      fit: the fit to all coded videos.
      coded: all coded instances.
      predictor: predicts them by fits without their videos.
    """

    folds: Mapping[str, Sequence[str]]
    fit: TrackFit
    coded: Sequence[CodedInstance]
    predictor: LeftOutPredictor

    def scores(self) -> list[FoldScores]:
        """Score the videos of each fold with a fit to the videos of the other folds."""
        scores = []
        for name, videos in self.folds.items():
            scored = self.predictor.predict_left_out(self.fit, self.coded, [videos])
            scores.append(_count(name, scored, self.fit.labels))
        return scores

    def curve(self) -> dict[int, FoldScores]:
        """Score all folds together by fits to fewer of the other videos.

        Returns:
          {number of the videos of the fits: the scores}.
        """
        scored_of: dict[int, list[ScoredInstance]] = collections.defaultdict(list)
        fits = smaller_fits(
            self.predictor.videos,
            self.coded,
            self.fit.labels,
            list(self.folds.values()),
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
    """Add up the coded, right and predicted seconds of each action."""
    coded: dict[int, float] = collections.defaultdict(float)
    right: dict[int, float] = collections.defaultdict(float)
    predicted: dict[int, float] = collections.defaultdict(float)
    for instance in scored:
        seconds = instance.coded.seconds
        coded[instance.action] += seconds
        predicted[instance.predicted] += seconds
        if instance.action == instance.predicted:
            right[instance.action] += seconds
    counts = {}
    for index, action in enumerate(labels.actions):
        if index in coded or index in predicted:
            counts[action] = Counts(coded[index], right[index], predicted[index])
    videos = {instance.coded.video for instance in scored}
    return FoldScores(name, len(videos), counts)
