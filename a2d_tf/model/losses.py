"""The five-term loss (paper, Eq. 1 and 2): objectness, boxes, actor, action, mask.

A `Term` is a sum and its divisor, so that the sums of several devices can be divided by
the divisors of all of them. Rows that do not count, such as padding, add to neither. B
is the batch, R the rows of a frame: sampled anchors or RoIs.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model.structures import Term


def smooth_l1(error: tf.Tensor, beta: float) -> tf.Tensor:
    """Sum the smooth L1 loss, quadratic for |error| < beta, over the last axis."""
    size = tf.abs(error)
    loss = tf.where(size < beta, 0.5 * tf.square(size) / beta, size - 0.5 * beta)
    return tf.reduce_sum(loss, axis=-1)


def counted_sum(values: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return the sum of the values [B, R] that count, bool [B, R], and their number."""
    mask = tf.cast(counted, tf.float32)
    return Term(total=tf.reduce_sum(values * mask), divisor=tf.reduce_sum(mask))


def objectness(logits: tf.Tensor, positive: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return the binary cross-entropy of sampled anchors.

    Args:
      logits: [B, R].
      positive, counted: bool [B, R].
    """
    labels = tf.cast(positive, tf.float32)
    values = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return counted_sum(values, counted)


def box_regression(
    deltas: tf.Tensor,
    targets: tf.Tensor,
    positive: tf.Tensor,
    counted: tf.Tensor,
    *,
    beta: float,
    normaliser: str,
) -> Term:
    """Return the smooth L1 of the positives' box deltas.

    A frame of A2D has about 2.7 positive anchors among 256 sampled ones, so the term is
    about 24 times as large with 'positives' as with 'samples'. Counting all rows, as in
    the class term, weighs a positive alike in both (Girshick 2015).

    Args:
      deltas, targets: [B, R, 4].
      positive, counted: bool [B, R].
      beta: of the smooth L1.
      normaliser: 'positives' for the mean over the positives and their four deltas, or
        'samples' to divide by all rows that count.
    """
    term = counted_sum(smooth_l1(deltas - targets, beta), positive)
    if normaliser == "positives":
        return term._replace(divisor=4.0 * term.divisor)
    return term._replace(divisor=tf.reduce_sum(tf.cast(counted, tf.float32)))


def actor_class(logits: tf.Tensor, classes: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return -log p(x) (Eq. 2) of the RoIs, background included.

    Args:
      logits: [B, R, C + 1].
      classes: int [B, R], C for background.
      counted: bool [B, R].
    """
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    return counted_sum(values, counted)


def action_class(
    logits: tf.Tensor, actions: tf.Tensor, counted: tf.Tensor, withheld: tf.Tensor
) -> Term:
    """Return -log p(y) (Eq. 2); -1{x' != x} log p(y) with a zero-shot actor x' (4.4).

    Rows of the zero-shot actor stay in the count, as in the paper's formula:
    withholding labels must not raise the weight of the others. Invalid pairs need no
    mask, because labels are valid by construction.

    Args:
      logits: [B, R, K].
      actions: int [B, R].
      counted: bool [B, R].
      withheld: bool [B, R], the rows whose labels are withheld.
    """
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(actions, logits)
    term = counted_sum(values, counted & ~withheld)
    return term._replace(divisor=tf.reduce_sum(tf.cast(counted, tf.float32)))


def mask(logits: tf.Tensor, truth: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return the binary cross-entropy of masks, averaged over pixels (section 3.3).

    Args:
      logits: of the true class, [B, R, m, m].
      truth: 0/1 [B, R, m, m].
      counted: bool [B, R], the rows that count.
    """
    values = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    return counted_sum(tf.reduce_mean(values, axis=[2, 3]), counted)
