"""The fit of the readout in closed form: ridge regression on training videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.model.readout import group_weights, ridge
from a2d_tf.model.readout.cross_validation import MAX_INVERSE_TEMPERATURE
from a2d_tf.model.readout.group_weights import APPEARANCE

LEAST_SKILL = 0.15
"""Below this skill, labels are left to the network's heads."""
_ABSENT = -20.0  # logit of a label that no training instance has


class ReadoutInstances(NamedTuple):
    """The n instances that a readout is fitted to, as boxes on clips.

    Attributes:
      features: {group: float32 [n, 2 D]}, the pooled features of a group's maps, whose
        channels add up to D: the means over the upper half of a box, one map after the
        other, then those over the lower half. The groups are
        `group_weights.APPEARANCE`, which is C4 and C5, and those of the motion maps.
      actors: int32 [n], 0-based actors; -1 for a label that must not be learned from.
      actions: int32 [n], 0-based actions; -1 for a label that must not be learned from.
      videos: [n], the names of the videos that show the instances.
      exact: bool [n], whether a box is the true one; others are moved a little, as the
        boxes of a network are.
    """

    features: dict[str, np.ndarray]
    actors: np.ndarray
    actions: np.ndarray
    videos: np.ndarray
    exact: np.ndarray


class Skills(NamedTuple):
    """How well a readout labels videos that it was not fitted to.

    A skill is the balanced accuracy, adjusted for chance: 0 for chance, 1 at best
    (`LeftOutPredictions.skill`).

    Attributes:
      actor: skill in actors; None if the videos are too few to tell.
      action: skill in actions; None if the videos are too few to tell.
      summary: a sentence that says how well each group of features labels actions; ""
        without motion maps, or if the videos are too few to tell.
      unused_groups: names of the groups of motion maps that have no weight in the fit.
    """

    actor: float | None
    action: float | None
    summary: str = ""
    unused_groups: tuple[str, ...] = ()


class LabelWeights(NamedTuple):
    """The weights of the readout for C labels: the actors, or the actions.

    Attributes:
      kernels: [2 D, C] for each group of features, in the groups' order: the rows of
        the upper half of a box, then those of the lower.
      bias: [C].
      head_weight: [C], the factor of the logits of the network's heads: 1 if labels are
        left to the heads, else 0.
      skill: balanced accuracy in left-out videos, adjusted for chance: 0 for chance, 1
        at best; None if the videos are too few to tell.
      fit: the fit whose classifier these weights are, times `inverse_temperature`; None
        if nothing was fitted.
      inverse_temperature: the factor on the classifier's values before a softmax.
    """

    kernels: list[np.ndarray]
    bias: np.ndarray
    head_weight: np.ndarray
    skill: float | None
    fit: ridge.RidgeFit | None = None
    inverse_temperature: float = MAX_INVERSE_TEMPERATURE

    def without(self, *videos: str) -> LabelWeights:
        """Return the weights of the fit to all videos but these, to label these.

        They are the same weights if nothing was fitted, or if the fit has no other
        video.

        Args:
          videos: names of the videos to leave out.

        Returns:
          weights of the same shapes, for features of these videos.
        """
        if self.fit is None or {*self.fit.training_set.videos} <= {*videos}:
            return self
        seen = self.fit.training_set.targets.any(axis=0)
        calibrated = _calibrate(
            self.fit.without(*videos), self.inverse_temperature, seen
        )
        return self._replace(kernels=calibrated.kernels, bias=calibrated.bias)


class FittedLabels(NamedTuple):
    """The weights of a fitted readout, and how well they label other videos.

    Attributes:
      actor: the weights of the actors, for appearance alone.
      action: the weights of the actions, for all groups of features.
      skills: how well they label left-out videos.
    """

    actor: LabelWeights
    action: LabelWeights
    skills: Skills


def fit_labels(
    instances: ReadoutInstances,
    num_actors: int,
    num_actions: int,
    motion_groups: Sequence[str],
    *,
    has_heads: bool = True,
) -> FittedLabels:
    """Fit the readout: actors to appearance alone, actions to all features.

    The readout labels boxes by ridge regression on features of public weights. Labels
    with a skill below LEAST_SKILL are left to the network's heads; labels whose skill
    is unknown are not. A skill is the balanced accuracy in left-out videos, adjusted
    for chance.

    Args:
      instances: the instances of training videos.
      num_actors: |X|, the number of actors.
      num_actions: |Y|, the number of actions.
      motion_groups: names of the groups of features beside appearance.
      has_heads: whether the network's heads know labels; if not, none are left to them.

    Returns:
      the weights for actors and for actions, and their skills.
    """
    groups = {APPEARANCE: instances.features[APPEARANCE]}
    # Actors are not calibrated: thresholds of p(actor) expect values near 0 or 1.
    actor = _fit_one(
        groups,
        instances.actors,
        num_actors,
        instances.videos,
        hyperparameters=ridge.Hyperparameters((1.0,)),
        calibrates=False,
        has_heads=has_heads,
    )
    for name in motion_groups:
        groups[name] = instances.features[name]
    exact = instances.exact
    chosen = group_weights.choose(
        {name: features[exact] for name, features in groups.items()},
        instances.actions[exact],
        num_actions,
        instances.videos[exact],
    )
    action = _fit_one(
        groups,
        instances.actions,
        num_actions,
        instances.videos,
        hyperparameters=chosen.hyperparameters,
        calibrates=True,
        has_heads=has_heads,
    )
    unused = []
    for name, weight in zip(groups, chosen.hyperparameters.group_weights):
        if weight == 0 and name != APPEARANCE:
            unused.append(name)
    skills = Skills(actor.skill, action.skill, chosen.summary, tuple(unused))
    return FittedLabels(actor, action, skills)


def _fit_one(
    groups: Mapping[str, np.ndarray],
    labels: np.ndarray,
    count: int,
    videos: np.ndarray,
    *,
    hyperparameters: ridge.Hyperparameters,
    calibrates: bool,
    has_heads: bool,
) -> LabelWeights:
    """Fit the readout of the actors, or of the actions.

    Args:
      groups: {name: features [n, 2 D]}.
      labels: int [n] below `count`; -1 for an instance without a label.
      count: C, the number of actors, or of actions.
      videos: [n], the names of the videos that show the instances.
      hyperparameters: how much each group of features counts, and the penalty.
      calibrates: whether left-out videos choose the inverse temperature of the softmax.
      has_heads: whether the network's heads know labels, see `fit_labels`.
    """
    seen = np.bincount(labels[labels >= 0], minlength=count) > 0
    training_set = ridge.TrainingSet.of([*groups.values()], labels, count, videos)
    if training_set is None:
        return _zero_weights(groups, seen, skill=0.0, has_heads=has_heads)
    fit = ridge.fit(training_set, hyperparameters)
    left_out = fit.left_out_predictions()
    skill = left_out.skill()
    if has_heads and skill is not None and skill < LEAST_SKILL:
        return _zero_weights(groups, seen, skill=skill, has_heads=True)
    inverse_temperature = MAX_INVERSE_TEMPERATURE
    if calibrates:
        inverse_temperature = left_out.inverse_temperature()
    calibrated = _calibrate(fit.classifier, inverse_temperature, seen)
    return LabelWeights(
        kernels=calibrated.kernels,
        bias=calibrated.bias,
        head_weight=np.zeros(count),
        skill=skill,
        fit=fit,
        inverse_temperature=inverse_temperature,
    )


def _calibrate(
    classifier: ridge.Classifier, inverse_temperature: float, seen: np.ndarray
) -> ridge.Classifier:
    """Multiply a classifier by the inverse temperature of a softmax over its values.

    Args:
      seen: bool [C], the labels of training instances; the others become improbable.
    """
    return ridge.Classifier(
        kernels=[inverse_temperature * kernel for kernel in classifier.kernels],
        bias=np.where(seen, inverse_temperature * classifier.bias, _ABSENT),
    )


def _zero_weights(
    groups: Mapping[str, np.ndarray],
    seen: np.ndarray,
    *,
    skill: float | None,
    has_heads: bool,
) -> LabelWeights:
    """Return weights that read no features: the heads decide, if they know labels.

    Args:
      seen: bool [C], the labels of training instances.
    """
    count = len(seen)
    bias = np.zeros(count)
    if not has_heads:
        bias = np.where(seen, 0.0, _ABSENT)
    return LabelWeights(
        kernels=[np.zeros((x.shape[1], count)) for x in groups.values()],
        bias=bias,
        head_weight=np.full(count, float(has_heads)),
        skill=skill,
    )
