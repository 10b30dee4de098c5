"""Predict each coded video by a fit to the others, as its page shows it."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import BoutModel, FrameActions
from a2d_tf.tracking.tracker import WINDOW
from a2d_tf.training.given_tracks.coded_rows import CodedRow
from a2d_tf.training.given_tracks.fit_tracks import TrackFit, TrackWeights
from a2d_tf.training.given_tracks.track_features import TrackFeatures


class ScoredRow(NamedTuple):
    """A coded instance, and what the fit without its video says that it does.

    Attributes:
      coded: the instance.
      action: 0-based, as coded.
      predicted: 0-based, as predicted.
      score: of what is predicted, as a page shows it: the mean of p(actor) p(action) in
        the frames around.
    """

    coded: CodedRow
    action: int
    predicted: int
    score: float


@dataclasses.dataclass(frozen=True)
class TrackReader:
    """Reads what coded instances do along their tracks, as pages of videos show it.

    Attributes:
      labels: the label space of the codes.
      videos: {name: features}.
      every: of so many frames one is answered.
      bout_seconds: {action: mean length of its coded bouts}; actions are read along
        whole tracks.
      window: labelled frames from which a score is read.
    """

    labels: LabelSpace
    videos: Mapping[str, TrackFeatures]
    every: int
    bout_seconds: Mapping[str, float]
    window: int = WINDOW

    def predict_left_out(
        self,
        fit: TrackFit,
        rows: Sequence[CodedRow],
        folds: Sequence[Collection[str]] | None = None,
    ) -> list[ScoredRow]:
        """Predict the coded instances of each video by the fit without it.

        Args:
          fit: one that `leaves_out` videos.
          rows: all coded instances.
          folds: videos that are left out together; None: each is left out alone.
        """
        if folds is None:
            folds = [[video] for video in dict.fromkeys(row.video for row in rows)]
        scored = []
        for fold in folds:
            rows_of_fold = [row for row in rows if row.video in fold]
            scored += self.predict(fit.without(*fold), rows_of_fold)
        return scored

    def predict(
        self, weights: TrackWeights, rows: Sequence[CodedRow]
    ) -> list[ScoredRow]:
        """Predict coded instances by weights that were not fitted to their videos."""
        rows_of_video = collections.defaultdict(list)
        for row in rows:
            rows_of_video[row.video].append(row)
        scored = []
        for video, coded in rows_of_video.items():
            scored += self._predict_video(weights, self.videos[video], coded)
        return scored

    def _predict_video(
        self, weights: TrackWeights, features: TrackFeatures, coded: Sequence[CodedRow]
    ) -> list[ScoredRow]:
        """Predict the coded instances of a video."""
        alone = weights.probabilities(features.groups)
        along_tracks = self._read_tracks(features, alone.actions, coded)
        answered = self._answered(features)
        scored = []
        for row in coded:
            actor, action = self.labels.indices(row.code)
            valid_actions = np.where(
                self.labels.valid[actor], along_tracks[row.row], -1
            )
            predicted = int(valid_actions.argmax())
            is_near = features.tracks == features.tracks[row.row]
            is_near &= np.abs(answered - answered[row.row]) <= self.window // 2
            products = alone.actors[is_near, actor] * alone.actions[is_near, predicted]
            scored.append(
                ScoredRow(row, int(action), predicted, float(products.mean()))
            )
        return scored

    def _read_tracks(
        self, features: TrackFeatures, actions: np.ndarray, coded: Sequence[CodedRow]
    ) -> np.ndarray:
        """Return p(action) [N, |Y|] of a video's instances as their coded tracks say.

        Args:
          actions: [N, |Y|], as each instance alone says.
        """
        model = BoutModel.of_seconds(
            self.bout_seconds, self.labels, 1 / features.seconds
        )
        if model is None:
            return actions
        actor_of_track = {}
        for row in coded:
            actor, _ = self.labels.indices(row.code)
            actor_of_track[int(features.tracks[row.row])] = actor
        answered = self._answered(features)
        read = actions.copy()
        for track, actor in actor_of_track.items():
            is_of_track = features.tracks == track
            frames = []
            for index in np.flatnonzero(is_of_track):
                frames.append(FrameActions(int(answered[index]), actions[index]))
            read[is_of_track] = model.read_track(frames, self.labels.valid[actor])
        return read

    def _answered(self, features: TrackFeatures) -> np.ndarray:
        """Return the number of each instance's frame among the answered ones, [N]."""
        return (features.numbers - 1) // self.every
