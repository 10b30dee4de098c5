"""What heads learn from: matched boxes, sampled rows, sampled RoIs (paper, 3.3).

All shapes are static and padded; a mask tells which rows count. Padded instances match
nothing; anchors and RoIs of frames without annotation do not count. Boxes are (y1, x1,
y2, x2) in pixels of the canvas. B is the batch, A the anchors, R the proposals, N the
instances of a frame.

Indices are int64: TensorFlow has arithmetic of int32 on the host only, so a GPU would
copy them there and back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from a2d_tf.model.structures import BatchTruth, SampledRois
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops.anchors import ROI_POSITIVE_IOU

_UNUSED_BOX = (0.0, 0.0, 16.0, 16.0)


class Rng:
    """Random numbers for the clips of a batch, however replicas share the batch.

    Args:
      seed: int [2].
      rows: int [B], the positions of the clips in the step's whole batch.
      total: the size of that batch.
    """

    def __init__(self, seed: tf.Tensor, rows: tf.Tensor, total: int) -> None:
        self._seed = seed
        self._rows = rows
        self._total = total

    def split(self, number: int) -> list[Rng]:
        """Return so many independent generators."""
        with tf.device("CPU:0"):  # where kernels read a seed
            seeds = tf.random.experimental.stateless_split(self._seed, number)
            return [Rng(seeds[i], self._rows, self._total) for i in range(number)]

    def uniform(
        self, shape: Sequence[int], low: float = 0.0, high: float = 1.0
    ) -> tf.Tensor:
        """Draw float32 [B, *shape] from [low, high); `shape` is static."""
        whole_batch = tf.random.stateless_uniform(
            [self._total, *shape], self._seed, low, high
        )
        return tf.gather(whole_batch, self._rows)


class Matches(NamedTuple):
    """How boxes overlap the instances of their frame.

    Attributes:
      best_iou: [B, A], the highest IoU of each box with an instance.
      instance: int64 [B, A], the instance that it has it with.
      ious: [B, A, N]; -1 for padded instances.
    """

    best_iou: tf.Tensor
    instance: tf.Tensor
    ious: tf.Tensor


class Sample(NamedTuple):
    """Rows drawn among candidates.

    Attributes:
      index: int64 [B, k].
      counted: bool [B, k], whether a row is a candidate.
    """

    index: tf.Tensor
    counted: tf.Tensor


class JoinedSample(NamedTuple):
    """Positive rows, then negative ones.

    Attributes:
      index: int64 [B, k].
      positive, counted: bool [B, k].
    """

    index: tf.Tensor
    positive: tf.Tensor
    counted: tf.Tensor


class AnchorSample(NamedTuple):
    """Sampled anchors and what the proposal network learns of them.

    Attributes:
      index: int64 [B, S].
      positive, counted: bool [B, S].
      deltas: float32 [B, S, 4], the true ones; 0 unless positive.
    """

    index: tf.Tensor
    positive: tf.Tensor
    counted: tf.Tensor
    deltas: tf.Tensor


def sample(candidates: tf.Tensor, most: int, rng: Rng) -> Sample:
    """Draw uniformly at most `most` of the candidates, bool [B, A].

    Returns:
      min(most, A) rows.
    """
    keys = tf.where(candidates, rng.uniform(candidates.shape[1:]) + 1.0, 0.0)
    values, index = tf.math.top_k(keys, min(most, candidates.shape[1]))
    return Sample(tf.cast(index, tf.int64), values > 0.0)


def join(positives: Sample, negatives: Sample) -> JoinedSample:
    """Join a sample of positive candidates and one of negative candidates."""
    none = tf.zeros_like(negatives.counted)
    return JoinedSample(
        index=tf.concat([positives.index, negatives.index], axis=1),
        positive=tf.concat([positives.counted, none], axis=1),
        counted=tf.concat([positives.counted, negatives.counted], axis=1),
    )


def match_boxes(boxes: tf.Tensor, truth: BatchTruth) -> Matches:
    """Find the best instance of each box [B, A, 4]."""
    ious = box_ops.iou(boxes, truth.boxes)
    ious = tf.where(truth.present[:, None, :], ious, -1.0)
    return Matches(
        best_iou=tf.reduce_max(ious, axis=2),
        instance=tf.argmax(ious, axis=2),
        ious=ious,
    )


def sample_rois(
    proposals: tf.Tensor,
    valid: tf.Tensor,
    truth: BatchTruth,
    *,
    samples: int,
    positives: int,
    add_truth: bool,
    rng: Rng,
) -> SampledRois:
    """Sample RoIs for the heads: some positives, the rest background.

    Args:
      proposals: [B, R, 4].
      valid: bool [B, R].
      samples: rows of the result.
      positives: the most of them that are positive.
      add_truth: whether the boxes of the instances are among the proposals.

    Returns:
      `samples` rows; the first `positives` of them hold every positive.
    """
    if add_truth:
        proposals = tf.concat([proposals, truth.boxes], axis=1)
        valid = tf.concat([valid, truth.present], axis=1)

    matches = match_boxes(proposals, truth)
    counted = valid & truth.annotated[:, None]
    positive = counted & (matches.best_iou >= ROI_POSITIVE_IOU)
    negative = counted & (matches.best_iou < ROI_POSITIVE_IOU)
    positive_rng, negative_rng = rng.split(2)
    joined = join(
        sample(positive, positives, positive_rng),
        sample(negative, samples, negative_rng),
    )

    # Stable: rows that count move to the front and keep their order, positives before
    # background.
    _, order = tf.math.top_k(
        tf.cast(joined.counted, tf.float32), min(samples, joined.counted.shape[1])
    )
    order = tf.cast(order, tf.int64)
    index = tf.gather(joined.index, order, batch_dims=1)
    rois = SampledRois(
        boxes=tf.gather(proposals, index, batch_dims=1),
        match=tf.gather(matches.instance, index, batch_dims=1),
        positive=tf.gather(joined.positive, order, batch_dims=1),
        counted=tf.gather(joined.counted, order, batch_dims=1),
    )
    missing = samples - order.shape[1]
    if missing:
        rois = rois.padded(missing)
    # Rows that do not count still pass through the heads: give them a box to crop.
    unused = tf.constant(_UNUSED_BOX)
    boxes = tf.where(rois.counted[..., None], rois.boxes, unused)
    return SampledRois(
        boxes=tf.stop_gradient(boxes),
        match=tf.stop_gradient(rois.match),
        positive=tf.stop_gradient(rois.positive),
        counted=tf.stop_gradient(rois.counted),
    )


def most_positives(samples: int, fraction: float) -> int:
    """Return how many RoIs of a sample can be positive: 22 of 64 at one third."""
    # Without the small subtrahend, 100 * .07 is 7.000000000000001, and ceil gives 8.
    return max(1, math.ceil(samples * fraction - 1e-9))
