"""The readout: labels that are linear in the backbone's own features, for few training
videos.

ImageNet's features know actors and actions of unseen videos better than a pyramid and
heads that were learned from a few dozen videos (docs/real_video.md). So the actor and
action of an instance are read from C4 and C5 of the appearance backbone, past the
pyramid. The readout is fitted in closed form, ridge regression on the instances of the
training videos, not by gradient steps. What it does not know of videos that are left
out of the fit, such as actions that only motion tells apart, remains the network's to
say.

Features are averaged over the upper half of a box, over its lower half, and over the
frames of a clip. Averages and readout are linear: frames are read first, [h, w, 2 (|X|
+ |Y|)] for each map, for the one half and the other, and the logits are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model.layers import plain

LEVELS = (4, 5)
"""The stages of the backbone that are read, of strides 16 and 32."""
_GRID = 8  # points a side at which a box is read
# beside the mean square of standardised features, which is 1 for all together
_RIDGE = 0.03
# Of the softmax over fitted values, which are near 0 or 1: as sharp as is right, see
# `ridge`, for actions. Actors stay sharp, as thresholds of p(actor) expect them.
_SHARPNESS = 20.0
_SHARPNESSES = (5.0, 7.0, 10.0, 14.0, _SHARPNESS)
_ENOUGH = 8  # videos to leave out in turn, of which fewer say nothing
_ABSENT = -20.0  # logit of a label without a training instance
_TINY = 1e-9
LEAST_SKILL = 0.15
"""Skill, see `ridge`, without which the network's logits count instead."""


class Readout:
    """Reads actors and actions of boxes.

    Args:
      labels: the label space; image_size: (height, width) of the canvas.
    """

    def __init__(self, labels: LabelSpace, image_size: tuple[int, int]) -> None:
        self._counts, self._image_size = (
            (len(labels.actors), len(labels.actions)),
            image_size,
        )
        self._layer = _Linear(sum(self._counts), name="readout")

    def build(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the logits of each place, float32 [N, h, w, 2 (|X| + |Y|)], of C4
        and C5.
        """
        return self._layer([*maps])

    def decode(
        self,
        maps: Sequence[tf.Tensor],
        boxes: tf.Tensor,
        actor_scores: tf.Tensor,
        action_logits: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the log probabilities of actors [B, N, |X|] and actions [B, N, |Y|] of
        boxes.

        Args:
          maps: of `build`, averaged over the frames of a clip; boxes: [B, N, 4].
          actor_scores, action_logits: the network's own, [B, N, |X|], [B, N, |Y|].
        """
        network = tf.concat([tf.math.log(actor_scores + _TINY), action_logits], axis=2)
        halves = tf.add_n([self.pool(values, boxes) for values in maps])
        units = sum(self._counts)
        logits = halves[:, :, 0, :units] + halves[:, :, 1, units:] + self._layer.bias
        actors, actions = tf.split(
            logits + self._layer.share * network, self._counts, axis=2
        )
        return tf.nn.log_softmax(actors), tf.nn.log_softmax(actions)

    def pool(self, values: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Average a map [B, h, w, C] over the upper and lower halves of boxes: [B,
        N, 2, C].
        """
        count = tf.shape(boxes)[1]
        frames = tf.repeat(tf.range(tf.shape(boxes)[0]), count)
        # The corners of the map are the centres of its outer cells, which also hold
        # beyond these.
        height, width = tf.unstack(tf.cast(tf.shape(values)[1:3], tf.float32))
        scale = tf.stack(
            [height / self._image_size[0], width / self._image_size[1]] * 2
        )
        last = tf.maximum(tf.stack([height, width] * 2) - 1.0, 1.0)
        cells = tf.clip_by_value(
            (tf.reshape(boxes, [-1, 4]) * scale - 0.5) / last, 0.0, 1.0
        )
        crops = tf.image.crop_and_resize(values, cells, frames, [_GRID, _GRID])
        crops = tf.reshape(crops, [-1, count, 2, _GRID * _GRID // 2, values.shape[-1]])
        return tf.reduce_mean(crops, axis=3)

    def fit(
        self,
        features: np.ndarray,
        actors: np.ndarray,
        actions: np.ndarray,
        videos: np.ndarray,
    ) -> list[float]:
        """Fit it to instances.

        Args:
          features: float [n, 2 D], of C4 and C5 one after the other, averaged over the
            upper half of their boxes, then over the lower one.
          actors, actions: int [n], 0-based; -1 for a label that must not be learned
            from.
          videos: [n], of the instances.

        Returns:
          the skill with actors and actions, see `ridge`; labels below LEAST_SKILL are
          left to the network.
        """
        kernels, biases, shares, skills = [], [], [], []
        for what, labels, count in zip(
            ("actor", "action"), (actors, actions), self._counts
        ):
            kernel, bias, skill, sharpness = ridge(features, labels, count, videos)
            sharpness = sharpness if what == "action" else _SHARPNESS
            knows = skill >= LEAST_SKILL
            kernels.append(sharpness * kernel * knows)
            seen = np.bincount(labels[labels >= 0], minlength=count) > 0
            biases.append(np.where(seen, sharpness * bias, _ABSENT) * knows)
            shares.append(np.full(count, 1.0 - knows))
            skills.append(skill)
        arrays = (
            np.concatenate(kernels, axis=1),
            np.concatenate(biases),
            np.concatenate(shares),
        )
        self._layer.assign(*arrays)
        return skills


def ridge(
    features: np.ndarray, labels: np.ndarray, count: int, videos: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Fit a linear classifier in closed form, each class with the same weight.

    Args:
      features: [n, D]; labels: int [n] below `count`, -1 in rows that do not count.
      videos: [n]; those of one video are left out together to measure the skill.

    Returns:
      kernel [D, count] and bias [count], float64: features @ kernel + bias is about 1
      for the class of a row, 0 for others; skill, how much better than chance (0) the
      classes of videos left out are found, 1 where all are; the sharpness at which a
      softmax of their values is likeliest (Guo et al., "On Calibration of Modern Neural
      Networks", ICML 2017). Only classes of several videos count; skill is 1 if they
      have fewer than eight, as nothing speaks against the fit, and 0 if there is a
      single class; the sharpness is then the greatest.
    """
    known = labels >= 0
    x, labels, videos = (
        np.asarray(features, np.float64)[known],
        labels[known],
        videos[known],
    )
    sizes = np.bincount(labels, minlength=count)
    classes = np.count_nonzero(sizes)
    if classes < 2:
        return np.zeros((x.shape[1], count)), np.zeros(count), 0.0, _SHARPNESS
    weight = (1.0 / (np.maximum(sizes, 1) * classes))[labels][:, None]
    mean, scale = x.mean(axis=0), (x.std(axis=0) + 1e-6) * np.sqrt(x.shape[1])
    x, targets = np.c_[(x - mean) / scale, np.ones(len(x))], np.eye(count)[labels]
    weighted, penalty = (
        (weight * x).T,
        np.diag(np.r_[np.full(x.shape[1] - 1, _RIDGE), 0.0]),
    )
    inverse = np.linalg.inv(weighted @ x + penalty)
    fitted = inverse @ (weighted @ targets)
    elsewhere = np.array([len({*videos[labels == c]}) > 1 for c in range(count)])
    counted = elsewhere[labels]
    found = np.zeros_like(targets)
    for video in np.unique(videos[counted]):
        rows = np.flatnonzero(videos == video)
        # What a fit without these rows gives, from their residuals and leverage in the
        # whole fit.
        rest = np.eye(len(rows)) - x[rows] @ inverse @ weighted[:, rows]
        found[rows] = targets[rows] - np.linalg.solve(
            rest, targets[rows] - x[rows] @ fitted
        )
    skill, sharpness = 1.0, _SHARPNESS
    if len(np.unique(videos[counted])) >= _ENOUGH:
        found, labels = found[counted], labels[counted]
        share = _mean_by_class(found.argmax(axis=1) == labels, labels)
        skill = float((share * classes - 1) / (classes - 1))

        def likelihood(factor: float) -> float:
            values = factor * found
            own = values[np.arange(len(labels)), labels] - np.logaddexp.reduce(
                values, axis=1
            )
            return _mean_by_class(own, labels)

        sharpness = max(_SHARPNESSES, key=likelihood)
    kernel = fitted[:-1] / scale[:, None]
    return kernel, fitted[-1] - mean @ kernel, skill, sharpness


def _mean_by_class(values, labels):
    return np.mean([values[labels == each].mean() for each in np.unique(labels)])


class _Linear(tf.keras.layers.Layer):
    """A linear layer over the channels of C4 and C5 together, to which each map adds
    its part.

    Attributes:
      share: weight of the network's own logits, [units]: 0, or 1 where the readout
        knows nothing, as before it is fitted.
    """

    def __init__(self, units: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._units = units

    def build(self, shapes: Sequence[tf.TensorShape]) -> None:
        def add(name: str, *rows: int, value: str = "zeros") -> tf.Variable:
            shape = [*rows, self._units]
            return self.add_weight(name, shape, initializer=value, trainable=False)

        self._kernels = [
            add(f"kernel_c{i}", shape[-1], 2) for i, shape in zip(LEVELS, shapes)
        ]
        self.bias, self.share = add("bias"), add("share", value="ones")

    @plain
    def call(self, maps: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        kernels = [
            tf.reshape(kernel, [-1, 2 * self._units]) for kernel in self._kernels
        ]
        return [
            tf.tensordot(tf.cast(x, tf.float32), k, 1) for x, k in zip(maps, kernels)
        ]

    def assign(self, kernel: np.ndarray, bias: np.ndarray, share: np.ndarray) -> None:
        """Set the weights: the rows of `kernel` are those of the maps, one after the
        other.
        """
        halves = np.stack(np.split(kernel, 2), axis=1)
        parts = np.split(halves, [self._kernels[0].shape[0]])
        for variable, values in zip(self.weights, (*parts, bias, share)):
            variable.assign(np.float32(values))
