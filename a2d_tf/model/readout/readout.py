"""The readout: labels that are linear in the backbone's own features.

It is for few training videos. On unseen videos, ImageNet's features tell actors and
actions apart better than a pyramid and heads that have learned from a few dozen videos
(docs/real_video.md). So the actor and action of an instance are read from C4 and C5 of
the appearance backbone, past the pyramid. The readout is not trained by gradient steps,
but fitted in closed form: ridge regression on the instances of the training videos. If
it labels left-out videos badly, as with actions that only motion tells apart, the
network's heads give the labels instead. Actions can also be read from motion maps
(`readout.motion_readout`).

Features are averaged over the upper half of a box, over its lower half, and over the
frames of a clip. Averaging and readout are both linear, so the readout comes first: it
turns each map into logits [h, w, 2 (|X| + |Y|)], for the upper half and for the lower
half, which are then averaged.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.autograph import without_autograph
from a2d_tf.model.readout.box_halves import average_map, average_motion_map
from a2d_tf.model.readout.label_fit import (
    FittedLabels,
    ReadoutInstances,
    Skills,
    fit_labels,
)
from a2d_tf.model.readout.motion_readout import MotionReadout
from a2d_tf.model.structures import MotionFeatures
from a2d_tf.ops.motion_maps import FLOW_HISTOGRAMS, MotionMap

LEVELS = (4, 5)
"""The stages of the backbone that are read, of strides 16 and 32."""
_TINY = 1e-9

MotionGroups = Mapping[str, Sequence[MotionMap]]
"""{name of a group: its motion maps}, see `motion_maps.groups`."""
_NO_MOTION: MotionGroups = {}


class Readout:
    """Labels boxes with actors and actions, linearly from features of the backbone.

    `build_layers` and `build_motion_model` come first, then `fit` or `assign`; before,
    all labels are left to the network's heads. Motion maps, which only actions are read
    from, hold features of the motion in the frames around a key frame.

    Args:
      labels: the actors and actions.
      image_size: (height, width) in pixels of the padded canvas, the network's input.
      motion_groups: the motion maps that are read, by groups that have one weight in
        the fit: {name of a group: its motion maps}.

    Attributes:
      motion_groups: the motion maps that are read, {name of a group: its motion maps}.
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

    def build_layers(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Build the linear layer over C4 and C5 of the appearance backbone.

        Args:
          maps: C4 and C5, [N, h, w, channels] at strides 16 and 32.

        Returns:
          the logits at each cell of both maps, float32 [N, h, w, 2 (|X| + |Y|)]: those
          of actors and actions for the upper half of a box, then those for the lower
          half.
        """
        return self._layer([*maps])

    def build_motion_model(self) -> MotionReadout:
        """Build the model that reads actions from motion maps; `decode` uses it.

        Motion maps hold features of the motion in the frames around a key frame. The
        model is a part of the network (`Network.parts`).
        """
        self._motion = MotionReadout(self.motion_maps, self._num_actions)
        return self._motion

    @property
    def motion_maps(self) -> list[MotionMap]:
        """The kinds of motion maps that actions are read from, group after group.

        A motion map holds features of the motion in the frames around a key frame:
        features of an action backbone such as I3D, or histograms of flow.
        """
        return [*itertools.chain.from_iterable(self.motion_groups.values())]

    @property
    def motion_fields(self) -> list[str]:
        """The names of the fields of a clip that `read_motion_maps` reads.

        They are the names of the motion maps, and motion_size; none if no map is read.
        """
        if not self.motion_groups:
            return []
        names = [motion_map.name for motion_map in self.motion_maps]
        return [*names, "motion_size"]

    def read_motion_maps(self, clip: Mapping[str, tf.Tensor]) -> MotionFeatures | None:
        """Turn the motion maps of clips into what `decode` reads of them.

        Maps of the action backbone become action logits; flow histograms stay.

        Args:
          clip: {name of a map: float32 [B, h, w, C], averaged over time; motion_size:
            int32 [B, 2], height and width of the motion frames in pixels}. Other fields
            are ignored.

        Returns:
          the motion features; None if the readout reads no motion maps.
        """
        if self._motion is None:
            return None
        maps = {
            motion_map.name: clip[motion_map.name] for motion_map in self.motion_maps
        }
        histograms = maps.pop(FLOW_HISTOGRAMS.name, None)
        logits = self._motion(maps) if maps else {}
        return MotionFeatures(logits, histograms, clip["motion_size"])

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

        If the fit knows actors or actions too badly, those of the heads are returned.

        Args:
          maps: the logits of C4 and C5 that `build_layers` returns, averaged over the
            frames of a clip, [B, h, w, 2 (|X| + |Y|)] each.
          boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
          actor_scores: float32 [B, N, |X|], p(actor) of the actor head.
          action_logits: float32 [B, N, |Y|], logits of the action head, without
            background.
          inside: int32 [B, 2], height and width in pixels of the frames inside the
            padded canvas.
          motion: the result of `read_motion_maps`; None if no motion maps are read.

        Returns:
          (log q(actor) [B, N, |X|], log q(action) [B, N, |Y|]), each of probabilities
          that add up to 1: there is no background.
        """
        head_logits = tf.concat(
            [tf.math.log(actor_scores + _TINY), action_logits], axis=2
        )
        halves = tf.add_n(
            [average_map(values, boxes, self._image_size) for values in maps]
        )
        units = self._num_actors + self._num_actions
        logits = halves[:, :, 0, :units] + halves[:, :, 1, units:] + self._layer.bias
        actors, actions = tf.split(
            logits + self._layer.share * head_logits,
            [self._num_actors, self._num_actions],
            axis=2,
        )
        if motion is not None:
            actions += self._motion_logits(boxes, inside, motion)
        return tf.nn.log_softmax(actors), tf.nn.log_softmax(actions)

    def fit(self, instances: ReadoutInstances) -> Skills:
        """Fit the readout to instances in closed form, and set its weights.

        Args:
          instances: instances of training videos, with the features of their boxes.

        Returns:
          how well the readout labels videos left out of the fit.
        """
        fitted = fit_labels(
            instances, self._num_actors, self._num_actions, [*self.motion_groups]
        )
        self.assign(fitted)
        return fitted.skills

    def assign(self, fitted: FittedLabels) -> None:
        """Set the weights of the readout to those of a fit.

        Args:
          fitted: the fit, to the same groups of features as this readout has.
        """
        actor = fitted.actor
        action = fitted.action
        self._layer.assign(
            np.concatenate([actor.kernels[0], action.kernels[0]], axis=1),
            np.concatenate([actor.bias, action.bias]),
            np.concatenate([actor.head_weight, action.head_weight]),
        )
        if self._motion is not None:
            self._motion.assign(self._kernels_of_maps(action.kernels[1:]))

    def _motion_logits(
        self, boxes: tf.Tensor, inside: tf.Tensor, motion: MotionFeatures
    ) -> tf.Tensor:
        """Return the action logits [B, N, |Y|] of boxes from the motion maps."""
        assert self._motion is not None
        pool = functools.partial(
            average_motion_map, boxes=boxes, inside=inside, size=motion.size
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

    def _kernels_of_maps(self, kernels: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Split the kernels of groups: {name of a motion map: kernel [2 C, |Y|]}."""
        kernels_of_maps = {}
        for group, kernel in zip(self.motion_groups.values(), kernels):
            ends = np.cumsum([motion_map.channels for motion_map in group])[:-1]
            upper, lower = (np.split(half, ends) for half in np.split(kernel, 2))
            for index, motion_map in enumerate(group):
                halves = [upper[index], lower[index]]
                kernels_of_maps[motion_map.name] = np.concatenate(halves)
        return kernels_of_maps


class _Linear(tf.keras.layers.Layer):
    """A linear layer over the channels of C4 and C5; their logits are added later.

    Attributes:
      bias: [units].
      share: [units], the factor of the logits of the heads: 1 for labels that are left
        to the heads, as all are before the fit, else 0. Checkpoints have this name.
    """

    def __init__(self, units: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._units = units

    def build(self, shapes: Sequence[tf.TensorShape]) -> None:
        """Create the kernels of both maps, the bias and the share."""
        self._kernels = []
        for level, shape in zip(LEVELS, shapes):
            self._kernels.append(self._weight(f"kernel_c{level}", [shape[-1], 2]))
        self.bias = self._weight("bias", [])
        self.share = self._weight("share", [], initializer="ones")

    @without_autograph
    def call(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the logits of each map [N, h, w, C]: [N, h, w, 2 units]."""
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

    def _weight(
        self, name: str, rows: Sequence[int], initializer: str = "zeros"
    ) -> tf.Variable:
        shape = [*rows, self._units]
        return self.add_weight(name, shape, initializer=initializer, trainable=False)
