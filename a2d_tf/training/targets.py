"""Training targets: sample anchors and RoIs and assign their labels (paper, 3.3).

All shapes are static and padded; a mask tells which rows count. Padded instances match nothing;
anchors and RoIs of frames without annotation do not count. Boxes are (y1, x1, y2, x2) in pixels of
the canvas. B is the batch, A the anchors, R the proposals, N the instances of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from a2d_tf.model.compiled import cluster
from a2d_tf.ops import boxes as box_ops
from a2d_tf.ops.anchors import NEGATIVE_IOU, POSITIVE_IOU, ROI_POSITIVE_IOU


class Draws:
    """Random numbers for the clips of a batch, independent of how replicas share the batch.

    Args:
      seed: int [2].
      rows: int32 [B], the positions of the clips in the step's whole batch.
      total: the size of that batch.
    """

    def __init__(self, seed: tf.Tensor, rows: tf.Tensor, total: int) -> None:
        self._seed, self._rows, self._total = seed, rows, total

    def split(self, number: int) -> list[Draws]:
        """Return so many independent generators."""
        seeds = tf.random.experimental.stateless_split(self._seed, number)
        return [Draws(seeds[i], self._rows, self._total) for i in range(number)]

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """Draw float32 [B, *shape] from [low, high); `shape` is static."""
        whole_batch = tf.random.stateless_uniform([self._total, *shape], self._seed, low, high)
        return tf.gather(whole_batch, self._rows)


def _sample(candidates, most, draws):
    """Choose uniformly at most `most` of the candidates, bool [B, A].

    Returns:
      (indices int32 [B, k], whether each is a candidate, bool [B, k]), k = min(most, A).
    """
    keys = draws.uniform(candidates.shape[1:])
    keys = tf.where(candidates, keys + 1.0, 0.0)
    most = min(most, candidates.shape[1])
    values, indices = tf.math.top_k(keys, most)
    return indices, values > 0.0


def _match(boxes, truth, present):
    """Return the best instance of each box: IoU [B, A], index [B, A], and all IoUs [B, A, N]."""
    overlaps = box_ops.iou(boxes, truth)
    overlaps = tf.where(present[:, None, :], overlaps, -1.0)
    return tf.reduce_max(overlaps, 2), tf.argmax(overlaps, 2, output_type=tf.int32), overlaps


def anchor_targets(
    anchors: np.ndarray,
    truth: tf.Tensor,
    present: tf.Tensor,
    size: tf.Tensor,
    *,
    annotated: tf.Tensor,
    samples: int,
    coder: box_ops.BoxCoder,
    draws: Draws,
    jit: bool = False,
) -> dict[str, tf.Tensor]:
    """Sample anchors and assign objectness and box targets (Ren et al. 2015).

    An anchor is positive if its IoU with an instance is at least 0.7 or the best of all anchors,
    and negative if its IoU is below 0.3. Anchors with their centre in the padding are neither. At
    most half of the sample is positive.

    Args:
      anchors: [A, 4]; truth: [B, N, 4]; present: bool [B, N], False for padding.
      size: int [B, 2], height and width of the frames inside the canvas; annotated: bool [B].
      samples: anchors to sample per frame; coder: of their deltas; draws: a Draws.
      jit: whether XLA compiles what is before and after the sampling.

    Returns:
      dict of index int32 [B, S], objectness float32 0/1 [B, S], deltas [B, S, 4],
      positive bool [B, S], counted bool [B, S]; S = samples + samples // 2 rows, of which at most
      `samples` count.
    """
    anchors = tf.convert_to_tensor(anchors)

    def candidates():
        best, match, overlaps = _match(anchors[None], truth, present)
        centre = 0.5 * (anchors[:, :2] + anchors[:, 2:])
        inside = tf.reduce_all(centre[None] < tf.cast(size, tf.float32)[:, None], axis=-1)
        inside &= annotated[:, None]
        positive = inside & ((best >= POSITIVE_IOU) | _is_peak(overlaps, inside))
        return positive, inside & (best < NEGATIVE_IOU) & ~positive, match

    positive, negative, match = cluster(candidates, jit)
    positive_draws, negative_draws = draws.split(2)
    positives = _sample(positive, samples // 2, positive_draws)
    negatives = _sample(negative, samples, negative_draws)
    return cluster(
        lambda: _anchor_rows(
            anchors, truth, match, positives, negatives=negatives, samples=samples, coder=coder
        ),
        jit,
    )


def _anchor_rows(anchors, truth, match, positives, *, negatives, samples, coder):
    """Return the result of `anchor_targets` from what `_sample` chose."""
    (positive_index, is_positive), (negative_index, is_negative) = positives, negatives
    quota = samples - tf.reduce_sum(tf.cast(is_positive, tf.int32), axis=1)
    is_negative &= tf.sequence_mask(quota, is_negative.shape[1])
    index = tf.concat([positive_index, negative_index], axis=1)
    positive = tf.concat([is_positive, tf.zeros_like(is_negative)], axis=1)
    # An anchor that is the best of one instance is regressed to its own best instance, which may
    # be another.
    matched = tf.gather(truth, tf.gather(match, index, batch_dims=1), batch_dims=1)
    deltas = coder.encode(matched, tf.gather(anchors, index))
    return {
        "index": index,
        "objectness": tf.cast(positive, tf.float32),
        "deltas": tf.where(positive[..., None], deltas, 0.0),
        "positive": positive,
        "counted": tf.concat([is_positive, is_negative], axis=1),
    }


def _is_peak(overlaps, inside):
    """Return which anchors inside the frame are the best of an instance, with ties: bool [B, A]."""
    peak = tf.reduce_max(tf.where(inside[..., None], overlaps, -1.0), axis=1, keepdims=True)
    return tf.reduce_any((overlaps == peak) & (peak > 0.0), axis=2)


def sample_rois(
    proposals: tf.Tensor,
    valid: tf.Tensor,
    truth: tf.Tensor,
    present: tf.Tensor,
    *,
    annotated: tf.Tensor,
    samples: int,
    positive_fraction: float,
    draws: Draws,
    add_truth: bool = True,
    jit: bool = False,
) -> dict[str, tf.Tensor]:
    """Sample RoIs for the heads: at most `positive_fraction` positive, the rest background.

    Args:
      proposals: [B, R, 4]; valid: bool [B, R]; truth: [B, N, 4]; present: bool [B, N].
      annotated: bool [B]; samples: RoIs to sample per frame; draws: a Draws.
      add_truth: whether ground-truth boxes join the proposals.
      jit: whether XLA compiles what is before and after the sampling.

    Returns:
      dict of rois [B, samples, 4], match int32 [B, samples] (the instance), positive and counted
      bool [B, samples]. Positives come first, then background, then rows that do not count; so
      the first `most_positives(samples, positive_fraction)` rows hold every positive.
    """
    if add_truth:
        proposals = tf.concat([proposals, truth], axis=1)
        valid = tf.concat([valid, present], axis=1)

    def candidates():
        best, match, _ = _match(proposals, truth, present)
        counts = valid & annotated[:, None]
        return counts & (best >= ROI_POSITIVE_IOU), counts & (best < ROI_POSITIVE_IOU), match

    positive, negative, match = cluster(candidates, jit)
    positive_draws, negative_draws = draws.split(2)
    most = most_positives(samples, positive_fraction)
    positives = _sample(positive, most, positive_draws)
    negatives = _sample(negative, samples, negative_draws)
    rows = cluster(lambda: _roi_rows(proposals, match, positives, negatives, samples), jit)
    return {name: tf.stop_gradient(value) for name, value in rows.items()}


def _roi_rows(proposals, match, positives, negatives, samples):
    """Return the result of `sample_rois` from what `_sample` chose."""
    (positive_index, is_positive), (negative_index, is_negative) = positives, negatives
    index = tf.concat([positive_index, negative_index], axis=1)
    counted = tf.concat([is_positive, is_negative], axis=1)
    # Stable: rows that count move to the front and keep their order, positives before background.
    order = tf.argsort(tf.cast(~counted, tf.int32), axis=1, stable=True)[:, :samples]
    index = tf.gather(index, order, batch_dims=1)
    positive = tf.gather(
        tf.concat([is_positive, tf.zeros_like(is_negative)], axis=1), order, batch_dims=1
    )
    rows = {
        "rois": tf.gather(proposals, index, batch_dims=1),
        "match": tf.gather(match, index, batch_dims=1),
        "positive": positive,
        "counted": tf.gather(counted, order, batch_dims=1),
    }
    rows = {name: _padded(value, samples) for name, value in rows.items()}
    # Rows that do not count still pass through the heads: give them a box that can be cropped.
    rows["rois"] = tf.where(rows["counted"][..., None], rows["rois"], tf.constant([0.0, 0, 16, 16]))
    return rows


def _padded(values, rows):
    """Pad [B, R, ...] with zeros to at least so many rows."""
    missing = rows - values.shape[1]
    if missing <= 0:
        return values
    return tf.pad(values, [[0, 0], [0, missing]] + [[0, 0]] * (values.shape.rank - 2))


def most_positives(samples: int, positive_fraction: float) -> int:
    """Return how many RoIs of a sample can be positive: 22 of 64 at one third."""
    return max(1, -int(-samples * positive_fraction // 1))


def roi_targets(
    rows: dict[str, tf.Tensor],
    truth: tf.Tensor,
    classes: tf.Tensor,
    actors: tf.Tensor,
    *,
    actions: tf.Tensor,
    num_classes: int,
    coder: box_ops.BoxCoder,
) -> dict[str, tf.Tensor]:
    """Assign class, box and action targets to sampled RoIs.

    Args:
      rows: of `sample_rois`.
      truth: [B, N, 4]; classes, actors, actions: int32 [B, N], 0-based, -1 in padding.
      num_classes: index of the background class; coder: of the deltas.

    Returns:
      dict of class_index [B, R] (num_classes for background), actor, action int32 [B, R],
      deltas [B, R, 4].
    """

    def matched(values):
        return tf.gather(values, rows["match"], batch_dims=1)

    deltas = coder.encode(matched(truth), rows["rois"])
    # RoIs of a frame without instances match padding, whose -1 is not an index.
    return {
        "class_index": tf.where(rows["positive"], matched(classes), num_classes),
        "actor": tf.maximum(matched(actors), 0),
        "action": tf.maximum(matched(actions), 0),
        "deltas": tf.where(rows["positive"][..., None], deltas, 0.0),
    }
