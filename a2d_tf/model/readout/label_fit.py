"""The fit of the readout in closed form: ridge regression on training videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.model.readout import feature_groups, ridge
from a2d_tf.model.readout.feature_groups import APPEARANCE

LEAST_SKILL = 0.15
"""Skill, see `ridge.skill`, below which labels are left to the network's heads."""
_ABSENT = -20.0  # logit of a label without a training instance


class ReadoutInstances(NamedTuple):
    """Instances that a readout is fitted to, as boxes on clips.

    Attributes:
      features: {group: float32 [n, 2 D]}: of the maps of a group, one after the other,
        averaged over the upper half of a box, then over the lower one. The groups are
        `feature_groups.APPEARANCE`, of C4 and C5, and those of the motion maps.
      actors, actions: int32 [n], 0-based; -1 for a label that must not be learned from.
      videos: [n], names.
      exact: bool [n], which boxes are the true ones; others are moved.
    """

    features: dict[str, np.ndarray]
    actors: np.ndarray
    actions: np.ndarray
    videos: np.ndarray
    exact: np.ndarray


class Skills(NamedTuple):
    """How well a readout knows videos that it was not fitted to, see `ridge.skill`.

    Attributes:
      actor, action: from 0 for chance to 1; None if the videos are too few to tell.
      worth: a sentence of what each group of features knows of the actions; "" without
        motion maps, or where the videos are too few to tell.
      unread: the groups of motion maps that add nothing.
    """

    actor: float | None
    action: float | None
    worth: str = ""
    unread: tuple[str, ...] = ()


class LabelWeights(NamedTuple):
    """The weights of the readout for the actors, or for the actions; C of them.

    Attributes:
      kernels: [2 D, C] of each group of features.
      bias: [C].
      share: [C], see `_Linear`.
      skill: see `ridge.skill`.
      left_out: [n, C], the logits that a fit without its own video gives each instance;
        NaN for one without a label, or where nothing was fitted.
      fit: what they are made of, by `_sharpened`; None if nothing was fitted.
      sharpness: likewise.
    """

    kernels: list[np.ndarray]
    bias: np.ndarray
    share: np.ndarray
    skill: float | None
    left_out: np.ndarray
    fit: ridge.RidgeFit | None = None
    sharpness: float = ridge.SHARPEST

    def without(self, *videos: str) -> LabelWeights:
        """Return the weights of the fit without videos, see `ridge.RidgeFit.without`.

        They are the same if nothing was fitted to these videos, or to no other one.
        """
        if self.fit is None or {*self.fit.instances.videos} <= {*videos}:
            return self
        seen = self.fit.instances.targets.any(axis=0)
        sharpened = _sharpened(self.fit.without(*videos), self.sharpness, seen)
        return self._replace(kernels=sharpened.kernels, bias=sharpened.bias)


class FittedLabels(NamedTuple):
    """The weights of the readout, and how well they know other videos."""

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
    """Fit actors to appearance alone, actions to all features.

    Labels of less than LEAST_SKILL are left to the network's heads, those of too few
    videos to tell are not.

    Args:
      motion_groups: names of the groups of features beside appearance.
      has_heads: whether the network's heads know labels; else none are left to them.
    """
    groups = {APPEARANCE: instances.features[APPEARANCE]}
    # Actors stay sharp, as thresholds of p(actor) expect them.
    actor = _fit_one(
        groups,
        instances.actors,
        num_actors,
        instances.videos,
        strength=ridge.Strength((1.0,)),
        calibrates=False,
        has_heads=has_heads,
    )
    for name in motion_groups:
        groups[name] = instances.features[name]
    exact = instances.exact
    choice = feature_groups.choose(
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
        strength=choice.strength,
        calibrates=True,
        has_heads=has_heads,
    )
    unread = []
    for name, share in zip(groups, choice.strength.shares):
        if share == 0 and name != APPEARANCE:
            unread.append(name)
    skills = Skills(actor.skill, action.skill, choice.worth, tuple(unread))
    return FittedLabels(actor, action, skills)


def _fit_one(
    groups: Mapping[str, np.ndarray],
    labels: np.ndarray,
    count: int,
    videos: np.ndarray,
    *,
    strength: ridge.Strength,
    calibrates: bool,
    has_heads: bool,
) -> LabelWeights:
    """Fit the readout of the actors, or of the actions.

    Args:
      groups: {name: features [n, 2 D]}.
      labels: int [n] below `count`, -1 in rows that do not count.
      strength: of the fit.
      calibrates: whether videos that are left out decide the sharpness of the softmax.
      has_heads: as of `fit_labels`.
    """
    seen = np.bincount(labels[labels >= 0], minlength=count) > 0
    instances = ridge.Instances.of([*groups.values()], labels, count, videos)
    if instances is None:
        return _unfitted(groups, seen, len(labels), skill=0.0, has_heads=has_heads)
    fit = ridge.fit(instances, strength)
    skill = ridge.skill(fit.left_out)
    if has_heads and skill is not None and skill < LEAST_SKILL:
        return _unfitted(groups, seen, len(labels), skill=skill, has_heads=True)
    sharpness = ridge.SHARPEST
    if calibrates:
        sharpness = ridge.sharpness(fit.left_out)
    left_out = np.full((len(labels), count), np.nan)
    left_out[labels >= 0] = sharpness * fit.values_left_out
    left_out[:, ~seen] = _ABSENT
    classifier = ridge.Classifier(fit.kernels, fit.bias)
    sharpened = _sharpened(classifier, sharpness, seen)
    return LabelWeights(
        kernels=sharpened.kernels,
        bias=sharpened.bias,
        share=np.zeros(count),
        skill=skill,
        left_out=left_out,
        fit=fit,
        sharpness=sharpness,
    )


def _sharpened(
    classifier: ridge.Classifier, sharpness: float, seen: np.ndarray
) -> ridge.Classifier:
    """Return a `ridge.Classifier` times the sharpness of a softmax over its values.

    Args:
      seen: bool [C], the labels that instances have; others are never likeliest.
    """
    return ridge.Classifier(
        kernels=[sharpness * kernel for kernel in classifier.kernels],
        bias=np.where(seen, sharpness * classifier.bias, _ABSENT),
    )


def _unfitted(
    groups: Mapping[str, np.ndarray],
    seen: np.ndarray,
    number: int,
    *,
    skill: float | None,
    has_heads: bool,
) -> LabelWeights:
    """Return weights that read nothing: the heads decide, if they know labels.

    Args:
      seen: bool [C], the labels that training instances have.
      number: of instances.
    """
    count = len(seen)
    bias = np.zeros(count)
    if not has_heads:
        bias = np.where(seen, 0.0, _ABSENT)
    return LabelWeights(
        kernels=[np.zeros((x.shape[1], count)) for x in groups.values()],
        bias=bias,
        share=np.full(count, float(has_heads)),
        skill=skill,
        left_out=np.full((number, count), np.nan),
    )
