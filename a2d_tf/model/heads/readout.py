"""The readout: labels that are linear in the backbone's own features.

It is for few training videos. ImageNet's features know actors and actions of unseen
videos better than a pyramid and heads that were learned from a few dozen videos
(docs/real_video.md). So the actor and action of an instance are read from C4 and C5 of
the appearance backbone, past the pyramid. The readout is fitted in closed form, ridge
regression on the instances of the training videos, not by gradient steps. What it does
not know of videos that are left out of the fit, such as actions that only motion tells
apart, remains the network's to say; or actions are also read from motion maps
(`heads.motion_readout`).

Features are averaged over the upper half of a box, over its lower half, and over the
frames of a clip. Averages and readout are linear, so frames are read first: each map
gives [h, w, 2 (|X| + |Y|)], for the upper half and the lower one, and the logits are
averaged.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.autograph import without_autograph
from a2d_tf.model.heads import feature_groups, ridge
from a2d_tf.model.heads.feature_groups import APPEARANCE
from a2d_tf.model.heads.motion_readout import MotionReadout
from a2d_tf.model.structures import MotionFeatures
from a2d_tf.ops.motion_maps import FLOW_HISTOGRAMS, MotionMap

LEVELS = (4, 5)
"""The stages of the backbone that are read, of strides 16 and 32."""
_GRID = 8  # points a side at which a box is read
_ABSENT = -20.0  # logit of a label without a training instance
_TINY = 1e-9
_LEAST_HEIGHT = 1e-3  # of a box, in heights of the frame
LEAST_SKILL = 0.15
"""Skill, see `ridge.skill`, below which the network's logits count instead."""


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


MotionGroups = Mapping[str, Sequence[MotionMap]]
"""As of `motion_maps.groups`."""
_NO_MOTION: MotionGroups = {}


class Readout:
    """Reads actors and actions of boxes.

    Args:
      labels: the label space.
      image_size: (height, width) of the canvas.
      motion_groups: the motion maps that are read, of `motion_maps.groups`.
    """

    def __init__(
        self,
        labels: LabelSpace,
        image_size: tuple[int, int],
        motion_groups: MotionGroups = _NO_MOTION,
    ) -> None:
        self.motion_groups = motion_groups
        self._num_actors = len(labels.actors)
        self._num_actions = len(labels.actions)
        self._image_size = image_size
        self._layer = _Linear(self._num_actors + self._num_actions, name="readout")
        self._motion: MotionReadout | None = None

    def build(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the logits at each place of C4 and C5, [N, h, w, 2 (|X| + |Y|)]."""
        return self._layer([*maps])

    def build_motion(self) -> MotionReadout:
        """Return the model of what is read of motion maps."""
        self._motion = MotionReadout(self.motion_maps, self._num_actions)
        return self._motion

    @property
    def motion_maps(self) -> list[MotionMap]:
        """The motion maps that are read."""
        return [*itertools.chain.from_iterable(self.motion_groups.values())]

    def decode(
        self,
        maps: Sequence[tf.Tensor],
        boxes: tf.Tensor,
        *,
        actor_scores: tf.Tensor,
        action_logits: tf.Tensor,
        inside: tf.Tensor,
        motion: MotionFeatures | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the log probabilities of the actors and of the actions of boxes.

        Args:
          maps: of `build`, averaged over the frames of a clip.
          boxes: [B, N, 4].
          actor_scores: of the actor head, [B, N, |X|].
          action_logits: of the action head, [B, N, |Y|].
          inside: int32 [B, 2], height and width of the frames inside the canvas.
          motion: what is read of the motion maps; None if none is read.

        Returns:
          ([B, N, |X|], [B, N, |Y|]).
        """
        network = tf.concat([tf.math.log(actor_scores + _TINY), action_logits], axis=2)
        halves = tf.add_n([self.pool(values, boxes) for values in maps])
        units = self._num_actors + self._num_actions
        logits = halves[:, :, 0, :units] + halves[:, :, 1, units:] + self._layer.bias
        actors, actions = tf.split(
            logits + self._layer.share * network,
            [self._num_actors, self._num_actions],
            axis=2,
        )
        if motion is not None:
            actions += self._read_motion(boxes, inside, motion)
        return tf.nn.log_softmax(actors), tf.nn.log_softmax(actions)

    def pool(self, values: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Average a map over the upper and over the lower half of boxes.

        Args:
          values: [B, h, w, C].
          boxes: [B, N, 4].

        Returns:
          [B, N, 2, C].
        """
        # The corners of the map are the centres of its outer cells, which also hold
        # beyond these.
        height, width = tf.unstack(tf.cast(tf.shape(values)[1:3], tf.float32))
        image_height, image_width = self._image_size
        scale = tf.stack([height / image_height, width / image_width] * 2)
        last = tf.maximum(tf.stack([height, width] * 2) - 1.0, 1.0)
        cells = (tf.reshape(boxes, [-1, 4]) * scale - 0.5) / last
        cells = tf.clip_by_value(cells, 0.0, 1.0)
        return _average_halves(values, cells, tf.shape(boxes)[1])

    def pool_motion(
        self,
        motion_map: MotionMap,
        values: tf.Tensor,
        boxes: tf.Tensor,
        *,
        inside: tf.Tensor,
        size: tf.Tensor,
    ) -> tf.Tensor:
        """Average a motion map over the upper and over the lower half of boxes.

        A frame covers the map from its first cell, as it covers the canvas.

        Args:
          motion_map: its kind.
          values: [B, h, w, C], padded at the right and at the bottom.
          boxes: [B, N, 4].
          inside: see `decode`.
          size: int32 [B, 2], height and width of the motion frames.

        Returns:
          [B, N, 2, C]; of flow histograms the roots of the averages, by which a
          movement of one actor is as large near the camera as far from it: divided by
          the height of the box in heights of the frame.
        """
        frame = tf.tile(tf.cast(inside, tf.float32), [1, 2])[:, None]
        count = tf.tile(size // motion_map.stride, [1, 2])[:, None]
        count = tf.cast(count, tf.float32)
        cells = tf.clip_by_value(boxes / frame * count - 0.5, 0.0, count - 1.0)
        last = tf.tile(tf.shape(values)[1:3], [2]) - 1
        cells /= tf.cast(tf.maximum(last, 1), tf.float32)
        cells = tf.reshape(cells, [-1, 4])
        halves = _average_halves(values, cells, tf.shape(boxes)[1])
        if motion_map != FLOW_HISTOGRAMS:
            return halves
        heights = (boxes[..., 2] - boxes[..., 0]) / frame[..., 0]
        heights = tf.maximum(heights, _LEAST_HEIGHT)
        return tf.sqrt(halves / heights[..., None, None])

    def _read_motion(self, boxes, inside, motion):
        """Return the action logits [B, N, |Y|] of boxes by the motion maps."""
        assert self._motion is not None
        pool = functools.partial(
            self.pool_motion, boxes=boxes, inside=inside, size=motion.size
        )
        logits = []
        for motion_map in self.motion_maps:
            if motion_map == FLOW_HISTOGRAMS:
                halves = pool(motion_map, motion.flow_histograms)
                logits.append(self._motion.read_histograms(halves))
            else:
                halves = pool(motion_map, motion.logits[motion_map.name])
                upper = halves[:, :, 0, : self._num_actions]
                lower = halves[:, :, 1, self._num_actions :]
                logits.append(upper + lower)
        return tf.add_n(logits)

    def fit(self, instances: ReadoutInstances) -> Skills:
        """Fit it to instances, see `fit_labels`."""
        fitted = fit_labels(
            instances, self._num_actors, self._num_actions, [*self.motion_groups]
        )
        self.assign(fitted)
        return fitted.skills

    def assign(self, fitted: FittedLabels) -> None:
        """Set the weights to those of a fit to features of the same groups."""
        actor = fitted.actor
        action = fitted.action
        self._layer.assign(
            np.concatenate([actor.kernels[0], action.kernels[0]], axis=1),
            np.concatenate([actor.bias, action.bias]),
            np.concatenate([actor.share, action.share]),
        )
        if self._motion is not None:
            self._motion.assign(self._kernels_of_maps(action.kernels[1:]))

    def _kernels_of_maps(self, kernels):
        """Return the kernel [2 C, |Y|] of each motion map, of those of their groups."""
        kernels_of_maps = {}
        for group, kernel in zip(self.motion_groups.values(), kernels):
            ends = np.cumsum([motion_map.channels for motion_map in group])[:-1]
            upper, lower = (np.split(half, ends) for half in np.split(kernel, 2))
            for index, motion_map in enumerate(group):
                halves = [upper[index], lower[index]]
                kernels_of_maps[motion_map.name] = np.concatenate(halves)
        return kernels_of_maps


def _average_halves(values, cells, count):
    """Average a map over the upper and over the lower half of boxes.

    Args:
      values: [B, h, w, C].
      cells: [B * count, 4], the boxes from 0, the centre of the first cell, to 1, the
        centre of the last one.
      count: of a frame's boxes.

    Returns:
      [B, count, 2, C].
    """
    frames = tf.repeat(tf.range(tf.shape(values)[0]), count)
    crops = tf.image.crop_and_resize(values, cells, frames, [_GRID, _GRID])
    crops = tf.reshape(crops, [-1, count, 2, _GRID * _GRID // 2, values.shape[-1]])
    return tf.reduce_mean(crops, axis=3)


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

    def without(self, video: str) -> LabelWeights:
        """Return the weights of the fit without a video, see `ridge.RidgeFit.without`.

        They are the same if nothing was fitted to the video, or to no other one.
        """
        if self.fit is None or {*self.fit.instances.videos} <= {video}:
            return self
        seen = self.fit.instances.targets.any(axis=0)
        sharpened = _sharpened(self.fit.without(video), self.sharpness, seen)
        return self._replace(kernels=sharpened.kernels, bias=sharpened.bias)


class FittedLabels(NamedTuple):
    """What `fit_labels` returns."""

    actor: LabelWeights
    action: LabelWeights
    skills: Skills


def fit_labels(
    instances: ReadoutInstances,
    num_actors: int,
    num_actions: int,
    motion_groups: Sequence[str],
    *,
    least_skill: float = LEAST_SKILL,
) -> FittedLabels:
    """Fit actors to appearance alone, actions to all features.

    Labels below the least skill are left to the network, those of too few videos to
    tell are not.

    Args:
      motion_groups: names of the groups of features beside appearance.
      least_skill: see LEAST_SKILL; -inf for a network whose heads know nothing.
    """
    groups = {name: instances.features[name] for name in (APPEARANCE,)}
    # Actors stay sharp, as thresholds of p(actor) expect them.
    actor = _fit_labels(
        groups,
        instances.actors,
        num_actors,
        instances.videos,
        strength=ridge.Strength((1.0,)),
        calibrates=False,
        least_skill=least_skill,
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
    action = _fit_labels(
        groups,
        instances.actions,
        num_actions,
        instances.videos,
        strength=choice.strength,
        calibrates=True,
        least_skill=least_skill,
    )
    unread = []
    for name, share in zip(groups, choice.strength.shares):
        if share == 0 and name != APPEARANCE:
            unread.append(name)
    skills = Skills(actor.skill, action.skill, choice.worth, tuple(unread))
    return FittedLabels(actor, action, skills)


def _fit_labels(groups, labels, count, videos, *, strength, calibrates, least_skill):
    """Fit the readout of `count` labels, int [n], -1 in rows that do not count.

    Args:
      groups: {name: features [n, 2 D]}.
      strength: of the fit.
      calibrates: whether videos that are left out decide the sharpness of the softmax.
      least_skill: as of `fit_labels`.
    """
    seen = np.bincount(labels[labels >= 0], minlength=count) > 0
    left_out = np.full((len(labels), count), np.nan)
    skill: float | None = 0.0
    instances = ridge.Instances.of([*groups.values()], labels, count, videos)
    if instances is not None:
        fit = ridge.fit(instances, strength)
        skill = ridge.skill(fit.left_out)
        if skill is None or skill >= least_skill:
            sharpness = ridge.SHARPEST
            if calibrates:
                sharpness = ridge.sharpness(fit.left_out)
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
    # The network's own logits alone, if its heads know anything.
    kernels = [np.zeros((x.shape[1], count)) for x in groups.values()]
    bias = np.zeros(count)
    share = np.ones(count)
    if least_skill == -np.inf:
        bias = np.where(seen, 0.0, _ABSENT)
        share = np.zeros(count)
    return LabelWeights(kernels, bias, share, skill, left_out)


def _sharpened(classifier, sharpness, seen):
    """Return a `ridge.Classifier` times the sharpness of a softmax over its values.

    Args:
      seen: bool [C], the labels that instances have; others are never likeliest.
    """
    return ridge.Classifier(
        kernels=[sharpness * kernel for kernel in classifier.kernels],
        bias=np.where(seen, sharpness * classifier.bias, _ABSENT),
    )


class _Linear(tf.keras.layers.Layer):
    """A linear layer over the channels of C4 and C5 together; each map adds its part.

    Attributes:
      bias: [units].
      share: weight of the network's own logits, [units]: 0, or 1 where the readout
        knows nothing, as before it is fitted.
    """

    def __init__(self, units: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._units = units

    def build(self, shapes: Sequence[tf.TensorShape]) -> None:
        self._kernels = []
        for level, shape in zip(LEVELS, shapes):
            self._kernels.append(self._weight(f"kernel_c{level}", [shape[-1], 2]))
        self.bias = self._weight("bias", [])
        self.share = self._weight("share", [], initializer="ones")

    def _weight(self, name, rows, initializer="zeros"):
        shape = [*rows, self._units]
        return self.add_weight(name, shape, initializer=initializer, trainable=False)

    @without_autograph
    def call(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        kernels = [
            tf.reshape(kernel, [-1, 2 * self._units]) for kernel in self._kernels
        ]
        logits = []
        for features, kernel in zip(maps, kernels):
            logits.append(tf.tensordot(tf.cast(features, tf.float32), kernel, 1))
        return logits

    def assign(self, kernel: np.ndarray, bias: np.ndarray, share: np.ndarray) -> None:
        """Set the weights.

        Args:
          kernel: [2 D, units]: the upper half's rows of C4 and C5, then the lower's.
          bias, share: [units].
        """
        halves = np.stack(np.split(kernel, 2), axis=1)
        kernels = np.split(halves, [self._kernels[0].shape[0]])
        for variable, values in zip(self._kernels, kernels):
            variable.assign(np.float32(values))
        self.bias.assign(np.float32(bias))
        self.share.assign(np.float32(share))
