"""The five-term loss (paper, Eq. 1 and 2): objectness, boxes, actor, action, mask.

Each function returns (sum, count), so that a batch spread over devices can be divided by the count
of all of them. Rows that do not count, padding among them, add to neither.
"""

import tensorflow as tf

TERMS = ("roi_cls", "box_reg", "actor_cls", "action_cls", "mask")


def smooth_l1(error, beta):
    """Sum over the last axis of the Huber-like loss that is quadratic within +-beta."""
    size = tf.abs(error)
    return tf.reduce_sum(
        tf.where(size < beta, 0.5 * tf.square(size) / beta, size - 0.5 * beta), axis=-1
    )


def _masked(values, mask):
    mask = tf.cast(mask, tf.float32)
    return tf.reduce_sum(values * mask), tf.reduce_sum(mask)


def objectness(logits, targets):
    """Binary cross-entropy over the sampled anchors; the count is that of the sample.

    Args:
      logits: [B, A]; targets: of `targets.anchor_targets`.
    """
    logits = tf.gather(logits, targets["index"], batch_dims=1)
    values = tf.nn.sigmoid_cross_entropy_with_logits(targets["objectness"], logits)
    return _masked(values, targets["counted"])


def _box_count(rows, normaliser):
    """What a box term is divided by: rows that count, or positive ones times four deltas."""
    if normaliser == "positives":
        return 4.0 * tf.reduce_sum(tf.cast(rows["positive"], tf.float32))
    return tf.reduce_sum(tf.cast(rows["counted"], tf.float32))


def proposal_boxes(deltas, targets, beta=1.0 / 9, normaliser="samples"):
    """Smooth L1 over the positive anchors, divided by the whole sample.

    The sample's size, not the number of positives: a frame with one small actor must not weigh as
    much as a frame full of them.

    Args:
      deltas: [B, A, 4]; targets: of `targets.anchor_targets`.
      beta: of the smooth L1.
      normaliser: 'samples', or 'positives' for the mean over the positives and their four deltas.
    """
    deltas = tf.gather(deltas, targets["index"], batch_dims=1)
    total, _ = _masked(smooth_l1(deltas - targets["deltas"], beta), targets["positive"])
    return total, _box_count(targets, normaliser)


def actor_class(logits, targets, rows):
    """-log p(x) (Eq. 2) over the RoIs that count, background included.

    Args:
      logits: [B, R, C + 1]; targets: of `targets.roi_targets`; rows: of `targets.sample_rois`.
    """
    values = tf.nn.sparse_softmax_cross_entropy_with_logits(targets["class_index"], logits)
    return _masked(values, rows["counted"])


def actor_boxes(deltas, targets, rows, normaliser="samples"):
    """Smooth L1 (beta 1) on the true class's box over the positives, divided by all RoIs.

    All RoIs, as the class term is: both then weigh a positive alike (Girshick 2015). For the
    `normaliser` see `proposal_boxes`.
    """
    classes = tf.minimum(targets["class_index"], deltas.shape[2] - 1)
    deltas = tf.gather(deltas, classes, batch_dims=2)
    total, _ = _masked(smooth_l1(deltas - targets["deltas"], 1.0), rows["positive"])
    return total, _box_count(rows, normaliser)


def action_class(logits, targets, rows, num_actions, background, held_out=-1):
    """-log p(y) (Eq. 2), or -1{x' != x} log p(y) with a held-out actor x' (section 4.4).

    With background among the classes the mean is over the RoIs that count, as that of
    `actor_class`; without, over the positives. The count is taken before the positives of the
    held-out actor are masked, as in the paper's formula: withholding labels must not raise the
    weight of the others. No pair is masked: labels are valid by construction.

    Args:
      logits: [B, R, |Y| + 1] with background, which is last; else [B, R, |Y|], or [B, R, |X| |Y|]
        for p(y | x), read at the true actor's row.
      targets: of `targets.roi_targets`; rows: of `targets.sample_rois`.
      num_actions: |Y|.
      background: whether background is a class.
      held_out: 0-based index of x', or -1.
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


def mask(logits, truth, classes, positive):
    """Binary cross-entropy on the true class's mask alone, averaged over its pixels (section 3.3).

    Args:
      logits: [B, R, m, m, C]; truth: 0/1 [B, R, m, m].
      classes: int32 [B, R]; positive: bool [B, R].
    """
    classes = tf.minimum(classes, logits.shape[-1] - 1)
    logits = tf.gather(tf.transpose(logits, [0, 1, 4, 2, 3]), classes, batch_dims=2)
    values = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    return _masked(tf.reduce_mean(values, axis=[2, 3]), positive)
