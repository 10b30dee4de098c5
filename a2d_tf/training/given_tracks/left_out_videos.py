"""Predict each coded video by a fit to the others, as its page shows it."""

from __future__ import annotations

import collections
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


def predict(
    fit: TrackFit,
    videos: Mapping[str, TrackFeatures],
    rows: Sequence[CodedRow],
    every: int,
    bout_seconds: Mapping[str, float],
    window: int = WINDOW,
    folds: Sequence[Collection[str]] | None = None,
) -> list[ScoredRow]:
    """Predict the coded instances of each video by the fit without it.

    Args:
      fit: one that `leaves_out` videos.
      videos: {name: features}.
      rows: all coded instances.
      every: of so many frames one is answered.
      bout_seconds: {action: mean length of its coded bouts}; actions are read along
        whole tracks, as those on pages are.
      window: labelled frames from which a score is read.
      folds: videos that are left out together; None: each is left out alone.
    """
    if folds is None:
        folds = [[vid] for vid in dict.fromkeys(row.video for row in rows)]
    scored = []
    for fold in folds:
        weights = fit.without(*fold)
        of_fold = [row for row in rows if row.video in fold]
        scored += predict_by(
            weights, fit.labels, videos, of_fold, every, bout_seconds, window
        )
    return scored


def predict_by(
    weights: TrackWeights,
    labels: LabelSpace,
    videos: Mapping[str, TrackFeatures],
    rows: Sequence[CodedRow],
    every: int,
    bout_seconds: Mapping[str, float],
    window: int = WINDOW,
) -> list[ScoredRow]:
    """Predict coded instances by weights that were not fitted to their videos.

    Args:
      labels: of the weights.
      videos, rows, every, bout_seconds, window: as of `predict`.
    """
    rows_of_video = collections.defaultdict(list)
    for row in rows:
        rows_of_video[row.video].append(row)
    scored = []
    for vid, coded in rows_of_video.items():
        features = videos[vid]
        alone = weights.probabilities(features.groups)
        actions = alone.actions
        answered = (features.numbers - 1) // every
        model = BoutModel.of_seconds(bout_seconds, labels, 1 / features.seconds)
        if model is not None:
            actions = _read_tracks(model, features, actions, coded, labels, every)
        for row in coded:
            actor, action = labels.indices(row.code)
            valid_actions = np.where(labels.valid[actor], actions[row.row], -1)
            predicted = int(valid_actions.argmax())
            is_near = features.tracks == features.tracks[row.row]
            is_near &= np.abs(answered - answered[row.row]) <= window // 2
            products = alone.actors[is_near, actor] * alone.actions[is_near, predicted]
            scored.append(
                ScoredRow(row, int(action), predicted, float(products.mean()))
            )
    return scored


def _read_tracks(
    model: BoutModel,
    features: TrackFeatures,
    actions: np.ndarray,
    coded: Sequence[CodedRow],
    labels: LabelSpace,
    every: int,
) -> np.ndarray:
    """Return p(action) [N, |Y|] of a video's instances as their coded tracks say.

    Args:
      actions: [N, |Y|], as each instance alone says.
    """
    actor_of_track = {}
    for row in coded:
        actor, _ = labels.indices(row.code)
        actor_of_track[int(features.tracks[row.row])] = actor
    answered = (features.numbers - 1) // every
    read = actions.copy()
    for track, actor in actor_of_track.items():
        is_of_track = features.tracks == track
        frames = []
        for index in np.flatnonzero(is_of_track):
            frames.append(FrameActions(int(answered[index]), actions[index]))
        read[is_of_track] = model.read_track(frames, labels.valid[actor])
    return read
