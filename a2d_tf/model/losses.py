"""The five-term loss (paper, Eq. 1 and 2): objectness, boxes, actor, action, mask.

A `Term` is a sum and its divisor, so that the sums of several devices can be divided by
the divisors of all of them. Rows that do not count, such as padding, add to neither. B
is the batch, R the rows of a frame: sampled anchors or RoIs.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model.structures import Term


def smooth_l1(error: tf.Tensor, beta: float) -> tf.Tensor:
    """Return the smooth L1 loss, summed over the last axis.

    It is error^2 / (2 beta) if |error| < beta, else |error| - beta / 2.

    Args:
      error: predicted minus true values, [..., 4] for boxes.
      beta: where the loss turns from quadratic to linear.

    Returns:
      [...], without the last axis.
    """
    size = tf.abs(error)
    loss = tf.where(size < beta, 0.5 * tf.square(size) / beta, size - 0.5 * beta)
    return tf.reduce_sum(loss, axis=-1)


def counted_sum(values: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return the sum of the values that count, and their number.

    Args:
      values: float32 [B, R], such as a loss of each RoI.
      counted: bool [B, R], which values count.
    """
    mask = tf.cast(counted, tf.float32)
    return Term(total=tf.reduce_sum(values * mask), divisor=tf.reduce_sum(mask))


def objectness(logits: tf.Tensor, positive: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return the binary cross-entropy of sampled anchors (L_RoI-cls of Eq. 1).

    Args:
      logits: float32 [B, R], the objectness of R anchors per frame.
      positive: bool [B, R], whether an anchor is on an instance.
      counted: bool [B, R], whether the anchor is in the sample; others are padding.

    Returns:
      the sum over the anchors that count, and their number.
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
    """Return the smooth L1 loss of the positives' box deltas (L_box-reg of Eq. 1).

    A frame of A2D has about 2.7 positive anchors among 256 sampled ones, so the term is
    about 24 times as large with 'positives' as with 'samples'. Counting all rows, as in
    the class term, weighs a positive alike in both (Girshick 2015).

    Args:
      deltas: float32 [B, R, 4], predicted (dy, dx, dh, dw) of R anchors or RoIs per
        frame.
      targets: float32 [B, R, 4], the true deltas.
      positive: bool [B, R], whether the row is on an instance; the loss is summed over
        these rows.
      counted: bool [B, R], whether the row is in the sample.
      beta: where the smooth L1 turns from quadratic to linear.
      normaliser: 'positives' for the mean over the positives and their four deltas, or
        'samples' to divide the sum by the number of all rows that count.

    Returns:
      the sum over the positives, and what it is divided by.
    """
    term = counted_sum(smooth_l1(deltas - targets, beta), positive)
    if normaliser == "positives":
        return term._replace(divisor=4.0 * term.divisor)
    return term._replace(divisor=tf.reduce_sum(tf.cast(counted, tf.float32)))


def actor_class(logits: tf.Tensor, classes: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return -log p(x) (Eq. 2) of the RoIs, background included.

    Args:
      logits: float32 [B, R, C + 1], of C classes and, last, background.
      classes: int [B, R], the true classes from 0; C for background.
      counted: bool [B, R], whether the row is a RoI; others are padding.

    Returns:
      the sum over the RoIs that count, and their number.
    """
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    return counted_sum(values, counted)


def action_class(
    logits: tf.Tensor, actions: tf.Tensor, counted: tf.Tensor, withheld: tf.Tensor
) -> Term:
    """Return -log p(y) (Eq. 2); -1{x' != x} log p(y) with a zero-shot actor x' (4.4).

    RoIs of the zero-shot actor are still counted in the divisor, as in the paper's
    formula: withholding labels must not raise the weight of the others. Invalid pairs
    need no mask, because labels are valid by construction.

    Args:
      logits: float32 [B, R, K], of K actions, background perhaps among them.
      actions: int [B, R], the true actions, from 0.
      counted: bool [B, R], the RoIs by whose number the sum is divided.
      withheld: bool [B, R], the RoIs that have no action label, or whose label is not
        to be learned; they are left out of the sum.

    Returns:
      the sum over the RoIs that are not withheld, and the number of all that count.
    """
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(actions, logits)
    term = counted_sum(values, counted & ~withheld)
    return term._replace(divisor=tf.reduce_sum(tf.cast(counted, tf.float32)))


def mask(logits: tf.Tensor, truth: tf.Tensor, counted: tf.Tensor) -> Term:
    """Return the binary cross-entropy of masks, averaged over pixels (section 3.3).

    Args:
      logits: float32 [B, R, m, m], the mask of each RoI's true class.
      truth: float32 [B, R, m, m], the true masks inside the RoIs, 0 or 1.
      counted: bool [B, R], the RoIs that count: positives with a true mask.

    Returns:
      the sum over the RoIs that count, and their number.
    """
    values = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    return counted_sum(tf.reduce_mean(values, axis=[2, 3]), counted)
