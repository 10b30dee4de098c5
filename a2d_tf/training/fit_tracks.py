"""Fit the labels of given tracks to coded times, in closed form, from kept features."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.heads.feature_groups import APPEARANCE
from a2d_tf.model.heads.readout_fit import FittedLabels, ReadoutInstances, fit_labels
from a2d_tf.tracking.bout_model import BoutModel, FrameActions
from a2d_tf.training.track_features import TrackFeatures

_INSTANCES = 1000  # the most that are fitted; the time grows with the third power

CodesOfVideo = Mapping[tuple[int, int], int]
"""{(number of a frame, number of a track): code of its coded pair}."""


class CodedInstance(NamedTuple):
    """An instance that the fit has seen, and what a fit without its video says of it.

    Attributes:
      video: name.
      number: 1-based, of the frame.
      seconds: how long it stands for: its coded frames up to the next answered one.
      action: 0-based, as coded.
      predicted: 0-based, by the fit without this video; -1 if there is none.
    """

    video: str
    number: int
    seconds: float
    action: int
    predicted: int


@dataclasses.dataclass(frozen=True)
class TrackFit:
    """The fit to the coded instances.

    Attributes:
      labels: what it labels instances with.
      groups: names of the groups of features, in the order of the kernels.
      fitted: the weights.
      coded: the instances that were fitted, with what fits without their video say.
    """

    labels: LabelSpace
    groups: tuple[str, ...]
    fitted: FittedLabels
    coded: tuple[CodedInstance, ...]

    def probabilities(
        self, features: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return p(actor) [N, |X|] and p(action) [N, |Y|] of N instances.

        Args:
          features: {group: [N, 2 D]}.
        """
        actor_logits = self._logits(self.fitted.actor, features)
        action_logits = self._logits(self.fitted.action, features)
        return _softmax(actor_logits), _softmax(action_logits)

    def _logits(self, weights, features):
        logits = weights.bias
        for name, kernel in zip(self.groups, weights.kernels):
            logits = logits + np.asarray(features[name], np.float64) @ kernel
        return logits


def fit_tracks(
    videos: Mapping[str, TrackFeatures],
    codes: Mapping[str, CodesOfVideo],
    labels: LabelSpace,
    *,
    every: int,
    bout_seconds: Mapping[str, float],
) -> TrackFit:
    """Fit to the coded instances of videos, evenly chosen if there are many.

    Args:
      videos: {name: features}.
      codes: {name of a coded video: codes of its instances}.
      labels: the label space of the codes.
      every: of so many frames one is answered.
      bout_seconds: {action: mean length of its coded bouts}; predictions of videos that
        are left out are read along tracks as those on pages are.
    """
    chosen = _coded_rows(videos, codes, every)
    step = -(-len(chosen) // _INSTANCES)
    chosen = chosen[::step]
    names = tuple(videos[chosen[0].video].groups)
    features = {}
    for name in names:
        parts = []
        for vid in dict.fromkeys(row.video for row in chosen):
            rows = [row.row for row in chosen if row.video == vid]
            parts.append(videos[vid].groups[name][rows])
        features[name] = np.concatenate(parts)
    actors, actions = labels.indices(np.array([row.code for row in chosen]))
    instances = ReadoutInstances(
        features=features,
        actors=np.asarray(actors),
        actions=np.asarray(actions),
        videos=np.array([row.video for row in chosen]),
        exact=np.ones(len(chosen), bool),
    )
    fitted = fit_labels(
        instances,
        len(labels.actors),
        len(labels.actions),
        [name for name in names if name != APPEARANCE],
        has_heads=False,
    )
    predictions = _predict_left_out(
        chosen, videos, labels, fitted.action.left_out, every, bout_seconds
    )
    coded = []
    for index, row in enumerate(chosen):
        features_of_video = videos[row.video]
        coded.append(
            CodedInstance(
                video=row.video,
                number=int(features_of_video.numbers[row.row]),
                seconds=step * row.share * features_of_video.seconds,
                action=int(instances.actions[index]),
                predicted=predictions[index],
            )
        )
    return TrackFit(labels, names, fitted, tuple(coded))


def _predict_left_out(
    rows: Sequence[_CodedRow],
    videos: Mapping[str, TrackFeatures],
    labels: LabelSpace,
    logits: np.ndarray,
    every: int,
    bout_seconds: Mapping[str, float],
) -> list[int]:
    """Return the action of each row by the fit without its video; -1 if there is none.

    Args:
      logits: [n, |Y|], of these fits; not finite where there is none.
      every, bout_seconds: as of `fit_tracks`.
    """
    indices_of_track = collections.defaultdict(list)
    for index, row in enumerate(rows):
        if np.isfinite(logits[index]).all():
            actor, _ = labels.indices(row.code)
            track = int(videos[row.video].tracks[row.row])
            indices_of_track[row.video, track, actor].append(index)
    predictions = [-1 for _ in rows]
    for (vid, _, actor), indices in indices_of_track.items():
        features = videos[vid]
        frames = []
        for index in indices:
            answered = (int(features.numbers[rows[index].row]) - 1) // every
            frames.append(FrameActions(answered, _softmax(logits[index])))
        valid = labels.valid[actor]
        actions = [np.where(valid, frame.actions, -1) for frame in frames]
        model = BoutModel.of_seconds(bout_seconds, labels, 1 / features.seconds)
        if model is not None:
            actions = model.read_track(frames, valid)
        for index, values in zip(indices, actions):
            predictions[index] = int(values.argmax())
    return predictions


class _CodedRow(NamedTuple):
    """A coded instance of an answered frame.

    Attributes:
      video: its video.
      row: its row in the features of this.
      code: what was coded.
      share: of the frames up to the next answered one, those that are coded alike.
    """

    video: str
    row: int
    code: int
    share: float


def _coded_rows(videos, codes, every):
    """Return the coded instances of all videos."""
    rows = []
    for vid, codes_of_video in codes.items():
        features = videos[vid]
        for row, number in enumerate(features.numbers.tolist()):
            track = int(features.tracks[row])
            code = codes_of_video.get((number, track))
            if code is None:
                continue
            alike = 0
            for later in range(number, number + every):
                if codes_of_video.get((later, track)) == code:
                    alike += 1
            rows.append(_CodedRow(vid, row, code, alike / every))
    return rows


def _softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
