"""Training targets: sample anchors and RoIs and assign their labels (paper, 3.3).

All shapes are static and padded; a mask tells which rows count. Padded instances match nothing;
anchors and RoIs of frames without annotation do not count. Boxes are (y1, x1, y2, x2) in pixels of
the canvas. B is the batch, A the anchors, R the proposals, N the instances of a frame.

Indices are int64: TensorFlow has arithmetic of int32 on the host only, so a GPU would copy them
there and back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.core.config import TrainingConfig
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops.anchors import NEGATIVE_IOU, POSITIVE_IOU, ROI_POSITIVE_IOU


class Rng:
    """Random numbers for the clips of a batch, independent of how replicas share the batch.

    Args:
      seed: int [2].
      rows: int [B], the positions of the clips in the step's whole batch.
      total: the size of that batch.
    """

    def __init__(self, seed: tf.Tensor, rows: tf.Tensor, total: int) -> None:
        self._seed, self._rows, self._total = seed, rows, total

    def split(self, number: int) -> list[Rng]:
        """Return so many independent generators."""
        with tf.device("CPU:0"):  # where kernels read a seed
            seeds = tf.random.experimental.stateless_split(self._seed, number)
            return [Rng(seeds[i], self._rows, self._total) for i in range(number)]

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """Draw float32 [B, *shape] from [low, high); `shape` is static."""
        whole_batch = tf.random.stateless_uniform([self._total, *shape], self._seed, low, high)
        return tf.gather(whole_batch, self._rows)


def _sample(candidates, most, rng):
    """Choose uniformly at most `most` of the candidates, bool [B, A].

    Returns:
      (indices [B, k], whether each is a candidate, bool [B, k]), k = min(most, A).
    """
    keys = rng.uniform(candidates.shape[1:])
    keys = tf.where(candidates, keys + 1.0, 0.0)
    most = min(most, candidates.shape[1])
    values, indices = tf.math.top_k(keys, most)
    return tf.cast(indices, tf.int64), values > 0.0


def _joined(positives, negatives):
    """Join two results of `_sample`: indices, which are positive, which are candidates."""
    index, counted = (tf.concat(parts, axis=1) for parts in zip(positives, negatives))
    return index, tf.concat([positives[1], tf.zeros_like(negatives[1])], axis=1), counted


def _match(boxes, truth, present):
    """Return the best instance of each box: IoU [B, A], index [B, A], and all IoUs [B, A, N]."""
    overlaps = box_ops.iou(boxes, truth)
    overlaps = tf.where(present[:, None, :], overlaps, -1.0)
    return tf.reduce_max(overlaps, 2), tf.argmax(overlaps, 2), overlaps


def anchor_targets(
    anchors: np.ndarray, batch: dict, training: TrainingConfig, *, coder: box_ops.BoxCoder, rng: Rng
) -> dict[str, tf.Tensor]:
    """Sample anchors and assign objectness and box targets (Ren et al. 2015).

    An anchor is positive if its IoU with an instance is at least 0.7 or the best of all anchors,
    and negative if its IoU is below 0.3. Anchors with their centre in the padding are neither. At
    most half of the sample is positive.

    Args:
      anchors: [A, 4]; batch: an element of `pipeline.training`; training: its `rpn_samples`.
      coder: of the deltas.

    Returns:
      dict of index [B, S], objectness float32 0/1 [B, S], deltas [B, S, 4],
      positive bool [B, S], counted bool [B, S]; S = samples + samples // 2 rows, of which at most
      `samples` count.
    """
    anchors, samples = tf.convert_to_tensor(anchors), training.rpn_samples

    best, match, overlaps = _match(anchors[None], batch["boxes"], batch["present"])
    centre = 0.5 * (anchors[:, :2] + anchors[:, 2:])
    inside = tf.reduce_all(centre[None] < tf.cast(batch["size"], tf.float32)[:, None], axis=-1)
    inside &= batch["annotated"][:, None]
    positive = inside & ((best >= POSITIVE_IOU) | _is_peak(overlaps, inside))
    negative = inside & (best < NEGATIVE_IOU) & ~positive
    positive_rng, negative_rng = rng.split(2)
    positives = _sample(positive, samples // 2, positive_rng)
    indices, candidates = _sample(negative, samples, negative_rng)
    quota = samples - tf.reduce_sum(tf.cast(positives[1], tf.float32), axis=1, keepdims=True)
    within = candidates & (tf.range(candidates.shape[1], dtype=tf.float32) < quota)
    index, positive, counted = _joined(positives, (indices, within))
    # The best anchor of an instance may overlap another one more: that is the target of its box.
    matched = tf.gather(match, index, batch_dims=1)
    truth = tf.gather(batch["boxes"], matched, batch_dims=1)
    deltas = coder.encode(truth, tf.gather(anchors, index))
    return {
        "index": index,
        "objectness": tf.cast(positive, tf.float32),
        "deltas": tf.where(positive[..., None], deltas, 0.0),
        "positive": positive,
        "counted": counted,
    }


def _is_peak(overlaps, inside):
    """Return which anchors inside the frame are the best of an instance, with ties: bool [B, A]."""
    peak = tf.reduce_max(tf.where(inside[..., None], overlaps, -1.0), axis=1, keepdims=True)
    return tf.reduce_any((overlaps == peak) & (peak > 0.0), axis=2)


def sample_rois(
    proposals: tf.Tensor, valid: tf.Tensor, batch: dict, training: TrainingConfig, *, rng: Rng
) -> dict[str, tf.Tensor]:
    """Sample RoIs for the heads: at most `positive_fraction` positive, the rest background.

    Args:
      proposals: [B, R, 4]; valid: bool [B, R]; batch: an element of `pipeline.training`.
      training: its `roi_samples`, `positive_fraction` and `add_truth_rois`.

    Returns:
      dict of rois [B, samples, 4], match [B, samples] (the instance), positive and counted
      bool [B, samples]. Positives come first, then background, then rows that do not count; so
      the first `most_positives(learning)` rows hold every positive.
    """
    samples = training.roi_samples
    if training.add_truth_rois:
        proposals = tf.concat([proposals, batch["boxes"]], axis=1)
        valid = tf.concat([valid, batch["present"]], axis=1)

    best, match, _ = _match(proposals, batch["boxes"], batch["present"])
    counts = valid & batch["annotated"][:, None]
    positive, negative = counts & (best >= ROI_POSITIVE_IOU), counts & (best < ROI_POSITIVE_IOU)
    positive_rng, negative_rng = rng.split(2)
    positives = _sample(positive, most_positives(training), positive_rng)
    index, positive, counted = _joined(positives, _sample(negative, samples, negative_rng))
    # Stable: rows that count move to the front and keep their order, positives before background.
    _, order = tf.math.top_k(tf.cast(counted, tf.float32), min(samples, counted.shape[1]))
    order = tf.cast(order, tf.int64)
    index = tf.gather(index, order, batch_dims=1)
    found = {
        "rois": tf.gather(proposals, index, batch_dims=1),
        "match": tf.gather(match, index, batch_dims=1),
        "positive": tf.gather(positive, order, batch_dims=1),
        "counted": tf.gather(counted, order, batch_dims=1),
    }
    missing = samples - order.shape[1]
    if missing:
        found = {
            name: tf.pad(x, [[0, 0], [0, missing]] + [[0, 0]] * (x.shape.rank - 2))
            for name, x in found.items()
        }
    # Rows that do not count still pass through the heads: give them a box to crop.
    counted, unused = found["counted"][..., None], tf.constant([0.0, 0, 16, 16])
    rows = {**found, "rois": tf.where(counted, found["rois"], unused)}
    return {name: tf.stop_gradient(value) for name, value in rows.items()}


def most_positives(training: TrainingConfig) -> int:
    """Return how many RoIs of a sample can be positive: 22 of 64 at one third."""
    return max(1, -int(-training.roi_samples * training.positive_fraction // 1))


def roi_targets(
    rows: dict[str, tf.Tensor],
    batch: dict,
    classes: tf.Tensor,
    *,
    num_classes: int,
    coder: box_ops.BoxCoder,
) -> dict[str, tf.Tensor]:
    """Assign class, box and action targets to sampled RoIs.

    Args:
      rows: of `sample_rois`; batch: an element of `pipeline.training`.
      classes: int64 [B, N], 0-based, of the instances.
      num_classes: index of the background class; coder: of the deltas.

    Returns:
      dict of class_index [B, R] (num_classes for background), actor, action [B, R],
      deltas [B, R, 4].
    """

    def matched(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, rows["match"], batch_dims=1)

    deltas = coder.encode(matched(batch["boxes"]), rows["rois"])
    # RoIs of a frame without instances match padding, whose -1 is not an index.
    return {
        "class_index": tf.where(rows["positive"], matched(classes), num_classes),
        "actor": tf.maximum(matched(batch["actors"]), 0),
        "action": tf.maximum(matched(batch["actions"]), 0),
        "deltas": tf.where(rows["positive"][..., None], deltas, 0.0),
    }
