"""Predict the coded instances of each video by a fit to the other videos."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import BoutModel, FrameActions
from a2d_tf.tracking.tracker import WINDOW
from a2d_tf.training.given_tracks.coded_instances import CodedInstance
from a2d_tf.training.given_tracks.fit_tracks import TrackFit, TrackWeights
from a2d_tf.training.given_tracks.track_features import TrackFeatures


class ScoredInstance(NamedTuple):
    """A coded instance, and its action as predicted by a fit without its video.

    Attributes:
      coded: the coded instance.
      action: 0-based index of the coded action.
      predicted: 0-based index of the predicted action.
      score: the score of the predicted action, as the page of a video shows it: the
        mean of p(actor) p(action) over the track's answered frames around the instance,
        where the actor is the coded one.
    """

    coded: CodedInstance
    action: int
    predicted: int
    score: float


@dataclasses.dataclass(frozen=True)
class LeftOutPredictor:
    """Predicts the actions of coded instances as a prediction of their videos would.

    Actions are read along whole tracks by the hidden Markov model of
    `tracking.bout_model`. The actor of a track is taken as coded.

    Attributes:
      labels: the label space of the codes.
      videos: {name of a video: features of its instances}.
      every: distance of answered frames; 1 if all frames are answered.
      bout_seconds: {action: mean length in seconds of its coded bouts}; if empty, each
        instance is read alone.
      window: number of answered frames around an instance over which its score is
        averaged.
    """

    labels: LabelSpace
    videos: Mapping[str, TrackFeatures]
    every: int
    bout_seconds: Mapping[str, float]
    window: int = WINDOW

    def predict_left_out(
        self,
        fit: TrackFit,
        coded: Sequence[CodedInstance],
        folds: Sequence[Collection[str]] | None = None,
    ) -> list[ScoredInstance]:
        """Predict the coded instances of each video by the fit without this video.

        Args:
          fit: a fit to the coded instances that `can_leave_out` videos.
          coded: all coded instances.
          folds: for each fold the names of the videos that are left out together; None
            to leave out each video alone.

        Returns:
          the scored instances, fold after fold.
        """
        if folds is None:
            videos = dict.fromkeys(instance.video for instance in coded)
            folds = [[video] for video in videos]
        scored = []
        for fold in folds:
            left_out = [instance for instance in coded if instance.video in fold]
            scored += self.predict(fit.without(*fold), left_out)
        return scored

    def predict(
        self, weights: TrackWeights, coded: Sequence[CodedInstance]
    ) -> list[ScoredInstance]:
        """Predict coded instances by weights that were not fitted to their videos.

        Args:
          weights: the weights.
          coded: the coded instances to predict.

        Returns:
          the scored instances, video after video.
        """
        coded_of_video = collections.defaultdict(list)
        for instance in coded:
            coded_of_video[instance.video].append(instance)
        scored = []
        for video, coded_here in coded_of_video.items():
            scored += self._predict_video(weights, self.videos[video], coded_here)
        return scored

    def _predict_video(
        self,
        weights: TrackWeights,
        features: TrackFeatures,
        coded: Sequence[CodedInstance],
    ) -> list[ScoredInstance]:
        """Predict the coded instances of a video."""
        alone = weights.probabilities(features.groups)
        along_tracks = self._actions_along_tracks(features, alone.actions, coded)
        answers = self._answer_numbers(features)
        scored = []
        for instance in coded:
            row = instance.row
            actor, action = self.labels.indices(instance.code)
            valid = np.where(self.labels.valid[actor], along_tracks[row], -1)
            predicted = int(valid.argmax())
            is_near = features.tracks == features.tracks[row]
            is_near &= np.abs(answers - answers[row]) <= self.window // 2
            products = alone.actors[is_near, actor] * alone.actions[is_near, predicted]
            scored.append(
                ScoredInstance(instance, int(action), predicted, float(products.mean()))
            )
        return scored

    def _actions_along_tracks(
        self,
        features: TrackFeatures,
        actions: np.ndarray,
        coded: Sequence[CodedInstance],
    ) -> np.ndarray:
        """Return p(action) [N, |Y|] of a video's instances, read along coded tracks.

        Args:
          features: the features of the video's N instances.
          actions: p(action) [N, |Y|], read from each instance alone.
          coded: the coded instances of the video.
        """
        model = BoutModel.of_seconds(
            self.bout_seconds, self.labels, 1 / features.seconds
        )
        if model is None:
            return actions
        actor_of_track = {}
        for instance in coded:
            actor, _ = self.labels.indices(instance.code)
            actor_of_track[int(features.tracks[instance.row])] = actor
        answers = self._answer_numbers(features)
        along_tracks = actions.copy()
        for track, actor in actor_of_track.items():
            is_of_track = features.tracks == track
            frames = []
            for row in np.flatnonzero(is_of_track):
                frames.append(FrameActions(int(answers[row]), actions[row]))
            along_tracks[is_of_track] = model.smooth_track(
                frames, self.labels.valid[actor]
            )
        return along_tracks

    def _answer_numbers(self, features: TrackFeatures) -> np.ndarray:
        """Return the number of each instance's frame among the answered ones, [N]."""
        return (features.numbers - 1) // self.every
