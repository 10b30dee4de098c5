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

    A replica draws the numbers of the whole batch and keeps those of its own clips. So
    one device and several of them draw the same numbers.

    Args:
      seed: int [2], a seed of TensorFlow's stateless operations.
      rows: int [B], the positions of this replica's B clips in the step's whole batch.
      total: number of clips in the whole batch.
    """

    def __init__(self, seed: tf.Tensor, rows: tf.Tensor, total: int) -> None:
        self._seed = seed
        self._rows = rows
        self._total = total

    def split(self, number: int) -> list[Rng]:
        """Return several independent generators for the same clips.

        Args:
          number: how many to return.
        """
        with tf.device("CPU:0"):  # where kernels read a seed
            seeds = tf.random.experimental.stateless_split(self._seed, number)
            return [Rng(seeds[i], self._rows, self._total) for i in range(number)]

    def uniform(
        self, shape: Sequence[int], low: float = 0.0, high: float = 1.0
    ) -> tf.Tensor:
        """Draw uniform random numbers for each of B clips.

        Args:
          shape: static shape of the numbers of one clip.
          low: smallest value.
          high: upper limit, which is not drawn.

        Returns:
          float32 [B, *shape].
        """
        whole_batch = tf.random.stateless_uniform(
            [self._total, *shape], self._seed, low, high
        )
        return tf.gather(whole_batch, self._rows)


class Matches(NamedTuple):
    """How boxes, anchors or proposals, overlap the instances of their frame.

    Attributes:
      best_iou: float32 [B, A], the highest IoU of each of A boxes with an instance; -1
        if the frame has no instance.
      instance: int64 [B, A], index of the instance that has this IoU.
      ious: float32 [B, A, N], the IoU of each box with each of N instances; -1 for rows
        that hold no instance.
    """

    best_iou: tf.Tensor
    instance: tf.Tensor
    ious: tf.Tensor


class Sample(NamedTuple):
    """Rows drawn at random among the rows that are candidates.

    Attributes:
      index: int64 [B, k], indices of the k drawn rows of each frame.
      counted: bool [B, k], whether a drawn row is a candidate; if there are fewer than
        k candidates, the rest is not, and adds nothing to a loss.
    """

    index: tf.Tensor
    counted: tf.Tensor


class JoinedSample(NamedTuple):
    """A sample of positive rows, followed by a sample of negative ones.

    Attributes:
      index: int64 [B, k], indices of the drawn rows.
      positive: bool [B, k], whether a drawn row is positive and counts.
      counted: bool [B, k], whether a drawn row counts in a loss.
    """

    index: tf.Tensor
    positive: tf.Tensor
    counted: tf.Tensor


class AnchorSample(NamedTuple):
    """S sampled anchors of each frame and what the proposal network learns of them.

    Attributes:
      index: int64 [B, S], indices of anchors.
      positive: bool [B, S], whether the anchor is on an instance.
      counted: bool [B, S], whether the row counts in the loss.
      deltas: float32 [B, S, 4], the true deltas (dy, dx, dh, dw) from the anchor to its
        instance; 0 unless positive.
    """

    index: tf.Tensor
    positive: tf.Tensor
    counted: tf.Tensor
    deltas: tf.Tensor


def sample(candidates: tf.Tensor, most: int, rng: Rng) -> Sample:
    """Draw candidates of each frame at random, all with the same probability.

    Args:
      candidates: bool [B, A], which of A rows may be drawn.
      most: the largest number to draw for a frame.
      rng: random numbers.

    Returns:
      min(most, A) rows of each frame, candidates first.
    """
    keys = tf.where(candidates, rng.uniform(candidates.shape[1:]) + 1.0, 0.0)
    values, index = tf.math.top_k(keys, min(most, candidates.shape[1]))
    return Sample(tf.cast(index, tf.int64), values > 0.0)


def join(positives: Sample, negatives: Sample) -> JoinedSample:
    """Join a sample of positive candidates and one of negative candidates.

    Args:
      positives: drawn rows that are positive; they come first.
      negatives: drawn rows of the same frames that are negative.

    Returns:
      the rows of both samples, and which of them are positive.
    """
    none = tf.zeros_like(negatives.counted)
    return JoinedSample(
        index=tf.concat([positives.index, negatives.index], axis=1),
        positive=tf.concat([positives.counted, none], axis=1),
        counted=tf.concat([positives.counted, negatives.counted], axis=1),
    )


def match_boxes(boxes: tf.Tensor, truth: BatchTruth) -> Matches:
    """Compute the IoU of boxes with the instances of their frame, and the best one.

    Args:
      boxes: float32 [B, A, 4], (y1, x1, y2, x2) in pixels of the padded canvas, or [1,
        A, 4] for the same boxes in every frame.
      truth: the true instances.

    Returns:
      the highest IoU of each box, the index of the instance that has it, and all IoUs
      [B, A, N].
    """
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
    """Sample RoIs for the heads: some positives, the rest background (Girshick 2015).

    A RoI is positive if its IoU with an instance is at least 0.5. No gradient passes.

    Args:
      proposals: float32 [B, R, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
      valid: bool [B, R], which rows are proposals.
      truth: the true instances.
      samples: number of rows of the result per frame.
      positives: the largest number of them that are positive.
      add_truth: whether the boxes of the instances are among the proposals.
      rng: random numbers.

    Returns:
      `samples` rows of each frame; the first `positives` of them hold every positive.
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
    """Return how many RoIs of a frame's sample can be positive: 22 of 64 at one third.

    Args:
      samples: number of sampled RoIs of a frame.
      fraction: the largest share of positives; rounded up, and to one RoI at least.
    """
    # Without the small subtrahend, 100 * .07 is 7.000000000000001, and ceil gives 8.
    return max(1, math.ceil(samples * fraction - 1e-9))
