"""The scores of labels in coded videos, each left out of the fit."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.commands.rounds import chosen_folds
from a2d_tf.commands.rounds.tracks.track_folds import TrackFolds
from a2d_tf.commands.rounds.tracks.track_round_input import TrackRoundInput
from a2d_tf.evaluation.own_labels import coded_seconds_report, learning_curve
from a2d_tf.evaluation.own_labels.coded_seconds import CodedSeconds
from a2d_tf.evaluation.own_labels.fold_scores import FoldScores
from a2d_tf.evaluation.own_labels.unsure import unsure_below
from a2d_tf.runs.held_out_scores import HeldOutScores, UnsureLimit
from a2d_tf.training.given_tracks.coded_instances import CodedInstance
from a2d_tf.training.given_tracks.fit_tracks import TrackFit
from a2d_tf.training.given_tracks.left_out_videos import (
    LeftOutPredictor,
    ScoredInstance,
)
from a2d_tf.training.given_tracks.track_features import TrackFeatures

_USUAL_FOLDS = 5  # of the learning curve
_NOTHING_LEFT_OUT = (
    "one coded video, or one behaviour: nothing can be left out of the fit to be"
    " scored; the labels of coded videos are of a fit that has seen them, so judge by"
    " the others"
)


class LeftOutScores(NamedTuple):
    """The scores that tell how far the labels of tracks can be trusted.

    Attributes:
      seconds: the scores in coded seconds; None if no video can be left out.
      lines: the scores in words.
      unsure_below: the score below which labels are rather wrong; None without scores,
        or with too few.
      folds: the scores of each fold, if the user asked for folds.
    """

    seconds: CodedSeconds | None
    lines: list[str]
    unsure_below: float | None = None
    folds: Sequence[FoldScores] = ()

    def held_out(self, coded: Iterable[str]) -> HeldOutScores | None:
        """Return the scores that the exported model keeps.

        Args:
          coded: the names of the videos that it is fitted to.
        """
        if self.seconds is None:
            return None
        return HeldOutScores(
            self.seconds.total(),
            UnsureLimit(self.unsure_below),
            trained_on=tuple(sorted(coded)),
        )


def score(
    inputs: TrackRoundInput,
    fit: TrackFit,
    features: Mapping[str, TrackFeatures],
    coded: Sequence[CodedInstance],
) -> LeftOutScores:
    """Score the coded videos by fits without them; write scores and learning curve.

    Args:
      inputs: the videos, tracks and settings of the round, and its folder.
      fit: the fit to all coded videos.
      features: {name of a video: its features}.
      coded: all coded instances.
    """
    if not fit.can_leave_out:
        _draw_curve(inputs, [])  # replaces the curve of an earlier call
        return LeftOutScores(None, [_NOTHING_LEFT_OUT])
    predictor = LeftOutPredictor(
        labels=fit.labels,
        videos=features,
        every=inputs.every,
        bout_seconds=inputs.source.bout_seconds,
        window=inputs.track_settings.window,
    )
    instances = predictor.predict_left_out(fit, coded)
    seconds = CodedSeconds.count(
        fit.labels.actions,
        videos=[instance.coded.video for instance in instances],
        seconds=[instance.coded.seconds for instance in instances],
        coded=[instance.action for instance in instances],
        predicted=[instance.predicted for instance in instances],
    )
    coded_seconds_report.write(inputs.folder.path, seconds)
    lines = [f"{coded_seconds_report.NOTE}:", *coded_seconds_report.lines(seconds)]
    if fit.fitted.skills.summary:
        lines.append(
            f"{fit.fitted.skills.summary}; 100 is all right, each behaviour counts"
            " alike, and each frame by itself"
        )
    folds = _choose_folds(inputs, fit, coded, predictor)
    curve = folds.curve()
    _draw_curve(inputs, learning_curve.points_of_fits(curve))
    if len(curve) > 1:
        lines.append(learning_curve.sentence(curve))
    return LeftOutScores(
        seconds=seconds,
        lines=lines,
        unsure_below=_limit_of_unsure(instances),
        folds=folds.scores() if inputs.folds else (),
    )


def _limit_of_unsure(instances: Sequence[ScoredInstance]) -> float | None:
    """Return the score below which labels are rather wrong; None with too few."""
    is_right = [instance.action == instance.predicted for instance in instances]
    return unsure_below(
        np.array([instance.score for instance in instances]),
        right=np.array(is_right),
        seconds=np.array([instance.coded.seconds for instance in instances]),
    )


def _choose_folds(
    inputs: TrackRoundInput,
    fit: TrackFit,
    coded: Sequence[CodedInstance],
    predictor: LeftOutPredictor,
) -> TrackFolds:
    """Return the user's folds, or some for the learning curve."""
    videos_of_actions: dict[str, set[str]] = collections.defaultdict(set)
    for instance in coded:
        videos_of_actions[fit.labels.name(instance.code)].add(instance.video)
    usual_number = str(min(_USUAL_FOLDS, len(fit.videos)))
    return TrackFolds(
        folds=chosen_folds.choose(
            inputs.folds or usual_number, videos_of_actions, inputs.folder.folds
        ),
        fit=fit,
        coded=coded,
        predictor=predictor,
    )


def _draw_curve(
    inputs: TrackRoundInput, points: Sequence[learning_curve.Point]
) -> None:
    learning_curve.write(inputs.folder.path, points, learning_curve.OF_CODED_VIDEOS)
