"""Fit the labels of given tracks to coded times, in closed form, from kept features."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.readout.feature_groups import APPEARANCE
from a2d_tf.model.readout.label_fit import (
    FittedLabels,
    LabelWeights,
    ReadoutInstances,
    fit_labels,
)
from a2d_tf.ops.softmax import softmax
from a2d_tf.training.given_tracks.coded_rows import CodedRow
from a2d_tf.training.given_tracks.track_features import TrackFeatures

_INSTANCES = 1000  # the most that are fitted; the time grows with the third power


class Probabilities(NamedTuple):
    """p(actor) [N, |X|] and p(action) [N, |Y|] of N instances."""

    actors: np.ndarray
    actions: np.ndarray


@dataclasses.dataclass(frozen=True)
class TrackWeights:
    """Say what instances are and do, by their kept features.

    Attributes:
      groups: names of the groups of features, in the order of the kernels.
      actor, action: the weights.
    """

    groups: tuple[str, ...]
    actor: LabelWeights
    action: LabelWeights

    def probabilities(self, features: Mapping[str, np.ndarray]) -> Probabilities:
        """Return the probabilities of N instances.

        Args:
          features: {group: [N, 2 D]}.
        """
        actor_logits = self._logits(self.actor, features)
        action_logits = self._logits(self.action, features)
        return Probabilities(softmax(actor_logits), softmax(action_logits))

    def _logits(
        self, weights: LabelWeights, features: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        logits = weights.bias
        for name, kernel in zip(self.groups, weights.kernels):
            logits = logits + np.asarray(features[name], np.float64) @ kernel
        return logits


@dataclasses.dataclass(frozen=True)
class TrackFit:
    """The fit to the coded instances.

    Attributes:
      labels: what it labels instances with.
      groups: names of the groups of features, in the order of the kernels.
      fitted: the fit, as a network's readout takes it.
      videos: names of the videos of these instances.
    """

    labels: LabelSpace
    groups: tuple[str, ...]
    fitted: FittedLabels
    videos: frozenset[str]

    @property
    def weights(self) -> TrackWeights:
        """The weights of the whole fit."""
        return TrackWeights(self.groups, self.fitted.actor, self.fitted.action)

    @property
    def leaves_out(self) -> bool:
        """Whether coded videos can be left out: several, of several actions."""
        return len(self.videos) > 1 and self.fitted.action.fit is not None

    def without(self, *videos: str) -> TrackWeights:
        """Return the weights of the fit without videos, if it `leaves_out` videos."""
        return TrackWeights(
            self.groups,
            actor=self.fitted.actor.without(*videos),
            action=self.fitted.action.without(*videos),
        )


def fit_tracks(
    videos: Mapping[str, TrackFeatures], rows: Sequence[CodedRow], labels: LabelSpace
) -> TrackFit:
    """Fit to coded instances, evenly chosen if there are many.

    Args:
      videos: {name: features}.
      rows: the coded instances, at least one.
      labels: the label space of their codes.
    """
    fitted_rows = rows[:: -(-len(rows) // _INSTANCES)]
    groups = tuple(videos[fitted_rows[0].video].groups)
    features = {}
    for name in groups:
        values = [videos[row.video].groups[name][row.row] for row in fitted_rows]
        features[name] = np.stack(values)
    actors, actions = labels.indices(np.array([row.code for row in fitted_rows]))
    instances = ReadoutInstances(
        features=features,
        actors=np.asarray(actors),
        actions=np.asarray(actions),
        videos=np.array([row.video for row in fitted_rows]),
        exact=np.ones(len(fitted_rows), bool),
    )
    fitted = fit_labels(
        instances,
        len(labels.actors),
        len(labels.actions),
        [name for name in groups if name != APPEARANCE],
        has_heads=False,
    )
    return TrackFit(
        labels=labels,
        groups=groups,
        fitted=fitted,
        videos=frozenset(row.video for row in fitted_rows),
    )
