"""Fit the labels of given tracks to coded times, in closed form, from kept features."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.readout.group_weights import APPEARANCE
from a2d_tf.model.readout.label_fit import (
    FittedLabels,
    LabelWeights,
    ReadoutInstances,
    fit_labels,
)
from a2d_tf.ops.softmax import softmax
from a2d_tf.training.given_tracks.coded_instances import CodedInstance
from a2d_tf.training.given_tracks.track_features import TrackFeatures

_INSTANCES = 1000  # the most that are fitted; the time grows with the third power


class Probabilities(NamedTuple):
    """p(actor) [N, |X|] and p(action) [N, |Y|] of N instances."""

    actors: np.ndarray
    actions: np.ndarray


@dataclasses.dataclass(frozen=True)
class TrackWeights:
    """The weights that label instances by their kept features.

    Attributes:
      groups: names of the groups of features, in the order of the kernels.
      actor, action: the weights of the actors, and of the actions.
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
    """The fit of the labels to coded instances.

    Attributes:
      labels: the label space of the weights.
      groups: names of the groups of features, in the order of the kernels.
      fitted: the weights, as a network's readout takes them.
      videos: names of the videos that it is fitted to.
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
    def can_leave_out(self) -> bool:
        """Whether videos can be left out: there are several, of several actions."""
        return len(self.videos) > 1 and self.fitted.action.fit is not None

    def without(self, *videos: str) -> TrackWeights:
        """Return the weights of the fit without videos, if it `can_leave_out` any."""
        return TrackWeights(
            self.groups,
            actor=self.fitted.actor.without(*videos),
            action=self.fitted.action.without(*videos),
        )


def fit_tracks(
    videos: Mapping[str, TrackFeatures],
    coded: Sequence[CodedInstance],
    labels: LabelSpace,
) -> TrackFit:
    """Fit labels to coded instances, evenly chosen if there are many.

    Args:
      videos: {name: features}.
      coded: the coded instances, at least one.
      labels: the label space of their codes.
    """
    every = -(-len(coded) // _INSTANCES)
    chosen = coded[::every]
    groups = tuple(videos[chosen[0].video].groups)
    fitted = fit_labels(
        _readout_instances(videos, chosen, labels, groups),
        len(labels.actors),
        len(labels.actions),
        [name for name in groups if name != APPEARANCE],
        has_heads=False,
    )
    return TrackFit(
        labels=labels,
        groups=groups,
        fitted=fitted,
        videos=frozenset(instance.video for instance in chosen),
    )


def _readout_instances(
    videos: Mapping[str, TrackFeatures],
    coded: Sequence[CodedInstance],
    labels: LabelSpace,
    groups: Iterable[str],
) -> ReadoutInstances:
    """Return coded instances with their features, as a readout is fitted to them."""
    features = {}
    for name in groups:
        rows = [videos[instance.video].groups[name][instance.row] for instance in coded]
        features[name] = np.stack(rows)
    codes = np.array([instance.code for instance in coded])
    actors, actions = labels.indices(codes)
    return ReadoutInstances(
        features=features,
        actors=np.asarray(actors),
        actions=np.asarray(actions),
        videos=np.array([instance.video for instance in coded]),
        exact=np.ones(len(coded), bool),
    )
