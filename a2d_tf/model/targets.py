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

import tensorflow as tf

from a2d_tf.model.structures import BatchTruth, Rows
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops.anchors import ROI_POSITIVE_IOU


class Rng:
    """Random numbers for the clips of a batch, independent of how replicas share the
    batch.

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

    def uniform(
        self, shape: Sequence[int], low: float = 0.0, high: float = 1.0
    ) -> tf.Tensor:
        """Draw float32 [B, *shape] from [low, high); `shape` is static."""
        whole_batch = tf.random.stateless_uniform(
            [self._total, *shape], self._seed, low, high
        )
        return tf.gather(whole_batch, self._rows)


def sample(candidates: tf.Tensor, most: int, rng: Rng) -> tuple[tf.Tensor, tf.Tensor]:
    """Choose uniformly at most `most` of the candidates, bool [B, A].

    Returns:
      (indices [B, k], whether each is a candidate, bool [B, k]), k = min(most, A).
    """
    keys = tf.where(candidates, rng.uniform(candidates.shape[1:]) + 1.0, 0.0)
    values, indices = tf.math.top_k(keys, min(most, candidates.shape[1]))
    return tf.cast(indices, tf.int64), values > 0.0


def joined(
    positives: tuple[tf.Tensor, tf.Tensor], negatives: tuple[tf.Tensor, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Join two results of `sample`: indices, which are positive, which are
    candidates.
    """
    index, counted = (tf.concat(parts, axis=1) for parts in zip(positives, negatives))
    return (
        index,
        tf.concat([positives[1], tf.zeros_like(negatives[1])], axis=1),
        counted,
    )


def match_boxes(
    boxes: tf.Tensor, truth: BatchTruth
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the best instance of each box: IoU [B, A], index [B, A], and all IoUs
    [B, A, N].
    """
    overlaps = box_ops.iou(boxes, truth.boxes)
    overlaps = tf.where(truth.present[:, None, :], overlaps, -1.0)
    return tf.reduce_max(overlaps, 2), tf.argmax(overlaps, 2), overlaps


def sample_rois(
    proposals: tf.Tensor,
    valid: tf.Tensor,
    truth: BatchTruth,
    *,
    samples: int,
    positives: int,
    add_truth: bool,
    rng: Rng,
) -> Rows:
    """Sample RoIs for the heads: at most so many positives, the rest background.

    Args:
      proposals: [B, R, 4]; valid: bool [B, R].
      samples: rows of the result; positives: the most of them that are positive.
      add_truth: whether the boxes of the instances are among the proposals.

    Returns:
      Rows of `samples` RoIs; the first `positives` of them hold every positive.
    """
    if add_truth:
        proposals = tf.concat([proposals, truth.boxes], axis=1)
        valid = tf.concat([valid, truth.present], axis=1)

    best, match, _ = match_boxes(proposals, truth)
    counts = valid & truth.annotated[:, None]
    positive, negative = (
        counts & (best >= ROI_POSITIVE_IOU),
        counts & (best < ROI_POSITIVE_IOU),
    )
    positive_rng, negative_rng = rng.split(2)
    chosen = sample(positive, positives, positive_rng)
    index, positive, counted = joined(chosen, sample(negative, samples, negative_rng))
    # Stable: rows that count move to the front and keep their order, positives before
    # background.
    _, order = tf.math.top_k(
        tf.cast(counted, tf.float32), min(samples, counted.shape[1])
    )
    order = tf.cast(order, tf.int64)
    index = tf.gather(index, order, batch_dims=1)
    rows = Rows(
        rois=tf.gather(proposals, index, batch_dims=1),
        match=tf.gather(match, index, batch_dims=1),
        positive=tf.gather(positive, order, batch_dims=1),
        counted=tf.gather(counted, order, batch_dims=1),
    )
    missing = samples - order.shape[1]
    if missing:
        ends = ([[0, 0], [0, missing]] + [[0, 0]] * (x.shape.rank - 2) for x in rows)
        rows = Rows(*(tf.pad(x, padding) for x, padding in zip(rows, ends)))
    # Rows that do not count still pass through the heads: give them a box to crop.
    unused = tf.constant([0.0, 0, 16, 16])
    rows = rows._replace(rois=tf.where(rows.counted[..., None], rows.rois, unused))
    return Rows(*map(tf.stop_gradient, rows))


def most_positives(samples: int, fraction: float) -> int:
    """Return how many RoIs of a sample can be positive: 22 of 64 at one third."""
    return max(1, math.ceil(samples * fraction - 1e-9))  # not 8 of 100 at .07
