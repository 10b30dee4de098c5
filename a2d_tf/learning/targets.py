"""What the network should have said: sampled anchors and RoIs with their labels (paper, 3.3).

Every function works on a batch with static, padded shapes and says which rows count. A padded
instance matches nothing; an anchor or RoI in a frame without annotation does not count.
"""

import tensorflow as tf

from a2d_tf.ops import boxes as box_ops


class Draws:
    """Random numbers of the clips of a batch: each has its own, whatever clips are beside it.

    So replicas that share a step's batch draw together what one would draw alone.

    Args:
      seed: int [2].
      rows: int32 [B], the clips' places in the step's whole batch.
      total: clips of that batch.
    """

    def __init__(self, seed, rows, total):
        self._seed, self._rows, self._total = seed, rows, total

    def split(self, number):
        """So many independent ones."""
        seeds = tf.random.experimental.stateless_split(self._seed, number)
        return [Draws(seeds[i], self._rows, self._total) for i in range(number)]

    def uniform(self, shape, low=0.0, high=1.0):
        """float32 [B, *shape]; the static `shape` is one clip's."""
        every = tf.random.stateless_uniform([self._total, *shape], self._seed, low, high)
        return tf.gather(every, self._rows)


def _sample(candidates, most, draws):
    """A uniform random choice of at most `most` of the candidates: bool [B, A] -> (index, chosen).

    Returns:
      (int32 [B, k] indices, bool [B, k] which of them are candidates), k = min(most, A).
    """
    keys = draws.uniform(candidates.shape[1:])
    keys = tf.where(candidates, keys + 1.0, 0.0)
    most = min(most, candidates.shape[1])
    values, indices = tf.math.top_k(keys, most)
    return indices, values > 0.0


def _match(boxes, truth, present):
    """Best instance of each box: its IoU [B, A], its index [B, A], and all IoUs [B, A, N]."""
    overlaps = box_ops.iou(boxes, truth)
    overlaps = tf.where(present[:, None, :], overlaps, -1.0)
    return tf.reduce_max(overlaps, 2), tf.argmax(overlaps, 2, output_type=tf.int32), overlaps


def anchor_targets(
    anchors,
    truth,
    present,
    size,
    annotated,
    samples,
    coder,
    draws,
    positive_iou=0.7,
    negative_iou=0.3,
):
    """Sampled anchors with objectness and box targets (Ren et al. 2015).

    Positive: IoU >= .7 with an instance, or the best anchor of one. Negative: IoU < .3. Anchors
    whose centre lies in the padding are neither. At most half of the sample is positive.

    Args:
      anchors: [A, 4]; truth: [B, N, 4]; present: bool [B, N].
      size: int [B, 2], the frames inside the canvas; annotated: bool [B].
      samples: how many anchors a frame; coder: a `boxes.BoxCoder`; draws: a Draws.

    Returns:
      dict of index int32 [B, S], objectness float32 0/1 [B, S], deltas [B, S, 4],
      positive bool [B, S], counted bool [B, S]; S = samples + samples // 2 rows, of which at most
      `samples` count.
    """
    anchors = tf.convert_to_tensor(anchors)
    best, match, overlaps = _match(anchors[None], truth, present)
    centre = 0.5 * (anchors[:, :2] + anchors[:, 2:])
    inside = tf.reduce_all(centre[None] < tf.cast(size, tf.float32)[:, None], axis=-1)
    inside &= annotated[:, None]
    # The best anchor of each instance, ties included, even below the threshold.
    peak = tf.reduce_max(tf.where(inside[..., None], overlaps, -1.0), axis=1, keepdims=True)
    is_peak = (overlaps == peak) & (peak > 0.0)
    positive = inside & ((best >= positive_iou) | tf.reduce_any(is_peak, axis=2))
    negative = inside & (best < negative_iou) & ~positive
    draws = draws.split(2)
    positive_index, is_positive = _sample(positive, samples // 2, draws[0])
    negative_index, is_negative = _sample(negative, samples, draws[1])
    quota = samples - tf.reduce_sum(tf.cast(is_positive, tf.int32), axis=1)
    is_negative &= tf.sequence_mask(quota, is_negative.shape[1])
    index = tf.concat([positive_index, negative_index], axis=1)
    positive = tf.concat([is_positive, tf.zeros_like(is_negative)], axis=1)
    # The instance of a peak anchor may not be its own best one; its best one is a fair target too.
    matched = tf.gather(truth, tf.gather(match, index, batch_dims=1), batch_dims=1)
    deltas = coder.encode(matched, tf.gather(anchors, index))
    return {
        "index": index,
        "objectness": tf.cast(positive, tf.float32),
        "deltas": tf.where(positive[..., None], deltas, 0.0),
        "positive": positive,
        "counted": tf.concat([is_positive, is_negative], axis=1),
    }


def sample_rois(
    proposals,
    valid,
    truth,
    present,
    annotated,
    samples,
    positive_fraction,
    draws,
    add_truth=True,
    positive_iou=0.5,
):
    """RoIs for the heads: at most `positive_fraction` positive, the rest background.

    Args:
      proposals: [B, R, 4]; valid: bool [B, R]; truth: [B, N, 4]; present: bool [B, N].
      annotated: bool [B]; draws: a Draws.
      add_truth: whether ground-truth boxes join the proposals.

    Returns:
      dict of rois [B, samples, 4], match int32 [B, samples] (the instance), positive and counted
      bool [B, samples]. Positives come first, then background, then rows that do not count; so
      the first `most_positives(samples, positive_fraction)` rows hold every positive.
    """
    if add_truth:
        proposals = tf.concat([proposals, truth], axis=1)
        valid = tf.concat([valid, present], axis=1)
    valid &= annotated[:, None]
    best, match, _ = _match(proposals, truth, present)
    positive, negative = valid & (best >= positive_iou), valid & (best < positive_iou)
    draws, most = draws.split(2), most_positives(samples, positive_fraction)
    positive_index, is_positive = _sample(positive, most, draws[0])
    negative_index, is_negative = _sample(negative, samples, draws[1])
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
    short = samples - rows["rois"].shape[1]
    if short > 0:
        rows = {
            name: tf.pad(value, [[0, 0], [0, short]] + [[0, 0]] * (value.shape.rank - 2))
            for name, value in rows.items()
        }
    # A row that does not count still passes the heads; give it a box that any crop can bear.
    rows["rois"] = tf.where(rows["counted"][..., None], rows["rois"], tf.constant([0.0, 0, 16, 16]))
    return {name: tf.stop_gradient(value) for name, value in rows.items()}


def most_positives(samples, positive_fraction):
    """The static number of rows that can be positive: 64 RoIs at one third give 22."""
    return max(1, -int(-samples * positive_fraction // 1))


def roi_targets(rows, truth, classes, actors, actions, num_classes, coder):
    """Class, box and action targets of sampled RoIs.

    Args:
      rows: what `sample_rois` returned.
      truth: [B, N, 4]; classes, actors, actions: int32 [B, N], 0-based.
      num_classes: index of the background class; coder: a `boxes.BoxCoder`.

    Returns:
      dict of class_index [B, R] (num_classes for background), actor, action int32 [B, R],
      deltas [B, R, 4].
    """

    def matched(values):
        return tf.gather(values, rows["match"], batch_dims=1)

    deltas = coder.encode(matched(truth), rows["rois"])
    # A frame without instances can only match padding, whose -1 no lookup and no loss can bear.
    return {
        "class_index": tf.where(rows["positive"], matched(classes), num_classes),
        "actor": tf.maximum(matched(actors), 0),
        "action": tf.maximum(matched(actions), 0),
        "deltas": tf.where(rows["positive"][..., None], deltas, 0.0),
    }
