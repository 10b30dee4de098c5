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
    """The probabilities of the labels of N instances.

    Attributes:
      actors: float64 [N, |X|], p(actor); a row adds up to 1.
      actions: float64 [N, |Y|], p(action); a row adds up to 1.
    """

    actors: np.ndarray
    actions: np.ndarray


@dataclasses.dataclass(frozen=True)
class TrackWeights:
    """Linear weights that label the instances of given tracks by their kept features.

    Attributes:
      groups: names of the groups of features, in the order of the weights' kernels.
      actor: weights of the actors' logits.
      action: weights of the actions' logits.
    """

    groups: tuple[str, ...]
    actor: LabelWeights
    action: LabelWeights

    def probabilities(self, features: Mapping[str, np.ndarray]) -> Probabilities:
        """Return the probabilities of the labels of N instances.

        Each instance is labelled alone, not along its track.

        Args:
          features: {group of features: [N, 2 D]}, as `TrackFeatures.groups` has them.
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
    """The fit of labels to coded instances, from which videos can be left out.

    Attributes:
      labels: the label space of the weights.
      groups: names of the groups of features, in the order of the weights' kernels.
      fitted: the fitted weights, as a network's readout takes them.
      videos: names of the videos whose instances were fitted to.
    """

    labels: LabelSpace
    groups: tuple[str, ...]
    fitted: FittedLabels
    videos: frozenset[str]

    @property
    def weights(self) -> TrackWeights:
        """The weights that are fitted to all videos."""
        return TrackWeights(self.groups, self.fitted.actor, self.fitted.action)

    @property
    def can_leave_out(self) -> bool:
        """Whether videos can be left out of the fit by `without`.

        There must be several videos, and actions must have been fitted.
        """
        return len(self.videos) > 1 and self.fitted.action.fit is not None

    def without(self, *videos: str) -> TrackWeights:
        """Return the weights that a fit without some videos would have.

        They are computed in closed form from this fit. It must be one that
        `can_leave_out` videos.

        Args:
          *videos: names of the videos to leave out.
        """
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
    """Fit the weights that label instances to coded instances, in closed form.

    Of many coded instances, up to about 1000 evenly chosen ones are used. Actors are
    fitted by appearance alone, actions by all groups of features.

    Args:
      videos: {name of a video: features of its instances}.
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
