"""The five-term loss (paper, Eq. 1 and 2): objectness, boxes, actor, action, mask.

Each function returns (sum, count), so that the sums of several devices can be divided by the count
of all of them. Rows that do not count, such as padding, add to neither. B is the batch, A the
anchors of a frame, R the sampled RoIs, C the classes without background; targets and rows are those
of `targets.anchor_targets`, `targets.roi_targets` and `targets.sample_rois`.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model import scoring

Term = tuple[tf.Tensor, tf.Tensor]

TERMS = ("objectness", "box_reg", "actor_cls", "action_cls", "mask")


def smooth_l1(error: tf.Tensor, beta: float) -> tf.Tensor:
    """Sum the smooth L1 loss, quadratic for |error| < beta, over the last axis."""
    size = tf.abs(error)
    return tf.reduce_sum(
        tf.where(size < beta, 0.5 * tf.square(size) / beta, size - 0.5 * beta), axis=-1
    )


def _masked(values, mask):
    mask = tf.cast(mask, tf.float32)
    return tf.reduce_sum(values * mask), tf.reduce_sum(mask)


def objectness(logits: tf.Tensor, targets: dict) -> Term:
    """Return the binary cross-entropy of the sampled anchors; logits [B, A]."""
    logits = tf.gather(logits, targets["index"], batch_dims=1)
    values = tf.nn.sigmoid_cross_entropy_with_logits(targets["objectness"], logits)
    return _masked(values, targets["counted"])


def _box_count(rows, normaliser):
    """Return the divisor of a box term: the rows that count, or four times the positive ones."""
    if normaliser == "positives":
        return 4.0 * tf.reduce_sum(tf.cast(rows["positive"], tf.float32))
    return tf.reduce_sum(tf.cast(rows["counted"], tf.float32))


def proposal_boxes(
    deltas: tf.Tensor, targets: dict, beta: float = 1.0 / 9, normaliser: str = "positives"
) -> Term:
    """Return the smooth L1 of the positive anchors.

    A frame of A2D has about 2.7 positive anchors among 256 sampled ones, so the term is about 24
    times as large with 'positives' as with 'samples'.

    Args:
      deltas: [B, A, 4]; beta: of the smooth L1.
      normaliser: 'positives' for the mean over the positives and their four deltas, or 'samples' to
        divide by all sampled anchors.
    """
    deltas = tf.gather(deltas, targets["index"], batch_dims=1)
    total, _ = _masked(smooth_l1(deltas - targets["deltas"], beta), targets["positive"])
    return total, _box_count(targets, normaliser)


def actor_class(logits: tf.Tensor, targets: dict, rows: dict) -> Term:
    """Return -log p(x) (Eq. 2) of the RoIs, background included; logits [B, R, C + 1]."""
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(targets["class_index"], logits)
    return _masked(values, rows["counted"])


def actor_boxes(deltas: tf.Tensor, targets: dict, rows: dict, normaliser: str = "samples") -> Term:
    """Return the smooth L1 (beta 1) of the positives' boxes of their true class, counting all RoIs.

    The count is that of the class term, so that both weigh a positive alike (Girshick 2015).

    Args:
      deltas: [B, R, C, 4].
      normaliser: as of `proposal_boxes`.
    """
    classes = tf.minimum(targets["class_index"], deltas.shape[2] - 1)
    deltas = tf.gather(deltas, classes, batch_dims=2)
    total, _ = _masked(smooth_l1(deltas - targets["deltas"], 1.0), rows["positive"])
    return total, _box_count(rows, normaliser)


def action_class(
    logits: tf.Tensor,
    targets: dict,
    rows: dict,
    num_actions: int,
    *,
    background: bool,
    held_out: int = -1,
) -> Term:
    """Return -log p(y) (Eq. 2), or -1{x' != x} log p(y) with a held-out actor x' (section 4.4).

    With background as a class the RoIs that count are counted, as in `actor_class`; without, the
    positives. Positives of the held-out actor stay in the count, as in the paper's formula:
    withholding labels must not raise the weight of the others. Invalid pairs need no mask, because
    labels are valid by construction.

    Args:
      logits: [B, R, |Y| + 1] with background, which is last; else [B, R, |Y|], or [B, R, |X| |Y|]
        for p(y | x), read at the true actor's row.
      num_actions: |Y|; background: whether it is a class; held_out: 0-based index of x', or -1.
    """
    actors, actions, counted = targets["actor"], targets["action"], rows["positive"]
    if background:
        actions, counted = tf.where(counted, actions, num_actions), rows["counted"]
    elif logits.shape[-1] != num_actions:
        shape = [-1, logits.shape[1], logits.shape[2] // num_actions, num_actions]
        logits = tf.gather(tf.reshape(logits, shape), actors, batch_dims=2)
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(actions, logits)
    withheld = rows["positive"] & (actors == held_out)
    total, _ = _masked(values, counted & ~withheld)
    return total, tf.reduce_sum(tf.cast(counted, tf.float32))


def mask(logits: tf.Tensor, truth: tf.Tensor, classes: tf.Tensor, positive: tf.Tensor) -> Term:
    """Return the binary cross-entropy of the true class's mask, averaged over pixels (section 3.3).

    Args:
      logits: [B, R, m, m, C]; truth: 0/1 [B, R, m, m]; classes: int32 [B, R].
      positive: bool [B, R], the rows that count.
    """
    classes = tf.minimum(classes, logits.shape[-1] - 1)
    logits = scoring.logits_of_classes(logits, classes)
    values = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    return _masked(tf.reduce_mean(values, axis=[2, 3]), positive)
