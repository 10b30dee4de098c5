"""The five terms against numpy, their normalisers, the held-out actor."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.labels import LabelSpace
from a2d_tf.model import label_modes, losses
from a2d_tf.model.heads import mask
from a2d_tf.model.heads.action import ActionHead
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.structures import BatchTruth, HeadInputs, LossSettings, SampledRois

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(0, 2, shape).astype(np.float32)


def log_softmax(x):
    x = x.astype(np.float64)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def cross_entropy(logits, label):
    """Binary, from logits, in float64."""
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return -(label * np.log(p) + (1 - label) * np.log(1 - p))


def huber(error, beta):
    error = np.abs(error.astype(np.float64))
    return np.where(error < beta, error**2 / (2 * beta), error - beta / 2).sum(-1)


def quotient(pair):
    return float(tf.math.divide_no_nan(*pair))


# Proposals: two frames, five anchors, a sample of four rows.

INDEX = np.int32([[4, 0, 2, 1], [3, 3, 0, 0]])
OBJECTNESS = np.float32([[1, 0, 0, 0], [1, 0, 0, 0]])
COUNTED = np.array([[True, True, True, False], [True, False, True, False]])
POSITIVE = OBJECTNESS > 0


def test_objectness_is_averaged_over_the_sample():
    logits = normal(2, 5)
    taken = np.take_along_axis(logits, INDEX, 1)
    made = losses.objectness(tf.constant(taken), POSITIVE, COUNTED)
    values = cross_entropy(taken, OBJECTNESS)[COUNTED]
    assert float(made[1]) == 5
    assert quotient(made) == pytest.approx(values.sum() / 5, abs=1e-6)


@pytest.mark.parametrize("normaliser, beta", [("samples", 1 / 9), ("positives", 1.0)])
def test_proposal_boxes_are_divided_by_the_sample_or_a_mean_over_the_deltas(
    normaliser, beta
):
    deltas, wanted = normal(2, 5, 4), normal(2, 4, 4)
    taken = np.take_along_axis(deltas, INDEX[..., None], 1)
    options = {"beta": beta, "normaliser": normaliser}
    made = losses.box_regression(
        tf.constant(taken), wanted, POSITIVE, COUNTED, **options
    )
    error = np.stack([deltas[0, 4] - wanted[0, 0], deltas[1, 3] - wanted[1, 0]])
    count = 5 if normaliser == "samples" else error.size  # as matterport has them
    assert float(made[1]) == count
    assert quotient(made) == pytest.approx(huber(error, beta).sum() / count, abs=1e-5)


# RoIs: two frames of four, three actors, five actions.

ROWS = dict(
    positive=np.array([[True, True, False, False], [True, False, False, False]]),
    counted=np.array([[True, True, True, False], [True, True, False, False]]),
)
SPACE = LabelSpace(
    ("x", "y", "z"),
    tuple("abcde"),
    tuple(10 * x + y for x in (1, 2, 3) for y in range(1, 6)),
)
CLASS = np.int32([[2, 0, 3, 3], [1, 3, 3, 3]])
TRUE_CLASSES = [(0, 0, 2), (0, 1, 0), (1, 0, 1)]  # of the positives: frame, RoI, class
ACTOR = np.int32([[2, 0, 1, 1], [1, 0, 0, 0]])
ACTION = np.int32([[4, 1, 0, 0], [3, 0, 0, 0]])


def rows():
    return SampledRois(None, tf.constant(np.tile(np.arange(4), (2, 1))), **ROWS)


def options(**changes):
    made = LossSettings(256, 0.0, "positives", "samples", 22, -1)
    return made._replace(**changes)


def test_actor_class_is_averaged_over_the_rois_that_count():
    logits = normal(2, 4, 4)
    made = losses.actor_class(tf.constant(logits), CLASS, ROWS["counted"])
    values = -np.take_along_axis(log_softmax(logits), CLASS[..., None], 2)[..., 0]
    assert float(made[1]) == 5
    assert quotient(made) == pytest.approx(values[ROWS["counted"]].sum() / 5, abs=1e-6)


@pytest.mark.parametrize("normaliser, count", [("samples", 5), ("positives", 12)])
def test_actor_boxes_read_the_true_class(normaliser, count, monkeypatch):
    deltas, wanted = normal(2, 4, 3, 4), normal(2, 4, 4)
    head = ActorHead(label_modes.Decoupled(SPACE, True), None)
    monkeypatch.setattr(head, "targets", lambda rows, truth: (CLASS, wanted))
    outputs = {"class_logits": normal(2, 4, 4), "deltas": tf.constant(deltas)}
    terms = head.terms(
        HeadInputs(None, outputs, None),
        rows(),
        None,
        options(box_normaliser=normaliser),
    )
    (made,) = terms["box_reg"]
    expected = sum(
        huber(deltas[b, r, c] - wanted[b, r], 1.0) for b, r, c in TRUE_CLASSES
    )
    assert float(made[1]) == count
    assert quotient(made) == pytest.approx(expected / count, abs=1e-6)


POSITIVES = [(0, 0), (0, 1), (1, 0)]


def action_values(logits):
    return np.array(
        [-log_softmax(logits)[(*place, ACTION[place])] for place in POSITIVES]
    )


# With background, class 5: the RoIs that count, two of them background.
WITH_BACKGROUND = {(0, 0): 4, (0, 1): 1, (0, 2): 5, (1, 0): 3, (1, 1): 5}


def action(logits, held_out=-1, background=False, mode=None):
    """The action term; the instance of each row is in the same place."""
    mode = mode or label_modes.Decoupled(SPACE, background)
    outputs = {"action_logits": tf.convert_to_tensor(logits)}
    truth = BatchTruth._make([None] * len(BatchTruth._fields))._replace(
        actors=ACTOR, actions=ACTION
    )
    head, seen = ActionHead(mode, late=False), HeadInputs(None, outputs, None)
    terms = head.terms(seen, rows(), truth, options(zero_shot_actor=held_out))
    (term,) = terms["action_cls"]
    return term


@pytest.mark.parametrize("held_out", [-1, 0])
def test_action_class_with_background_is_averaged_over_the_rois_that_count(held_out):
    """A held-out actor silences its positives alone, and stays in the count.

    (1, 1) is background whose nearest instance is of that actor: it stays, too.
    """
    logits = tf.constant(normal(2, 4, 6))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total, count = action(logits, held_out, background=True)
    left = {
        place: y
        for place, y in WITH_BACKGROUND.items()
        if held_out < 0 or place != (0, 1)
    }
    values = [-log_softmax(logits.numpy())[(*place, y)] for place, y in left.items()]
    assert float(count) == 5
    assert float(total) == pytest.approx(sum(values), abs=1e-5)
    moved = np.argwhere(np.abs(tape.gradient(total, logits).numpy()).max(axis=2) > 0)
    assert {tuple(place) for place in moved} == set(left)


@pytest.mark.parametrize(
    "held_out, row", [(-1, ()), (2, (0, 0)), (0, (0, 1)), (1, (1, 0))]
)
def test_a_held_out_actor_leaves_sum_and_gradient_but_not_the_count(held_out, row):
    logits = tf.constant(normal(2, 4, 5))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total, count = action(logits, held_out)
    left = [
        value
        for value, place in zip(action_values(logits.numpy()), POSITIVES)
        if place != row
    ]
    assert float(count) == 3 and float(total) == pytest.approx(sum(left), abs=1e-5)
    moved = np.abs(tape.gradient(total, logits).numpy()).max(axis=2) > 0
    expected = ROWS["positive"].copy()
    if row:
        expected[row] = False
    assert (moved == expected).all()


def test_hierarchical_logits_are_read_at_the_true_actors_row():
    logits = normal(2, 4, 3 * 5)
    own = np.take_along_axis(logits.reshape(2, 4, 3, 5), ACTOR[..., None, None], 2)[
        :, :, 0
    ]
    made = action(logits, mode=label_modes.Hierarchical(SPACE))
    # Divided by the RoIs that count, as with background among the actions.
    assert float(made[1]) == 5
    assert quotient(made) == pytest.approx(action_values(own).sum() / 5, abs=1e-6)


def test_background_and_a_held_out_actor_are_no_hierarchical_labels():
    logits = tf.constant(normal(2, 4, 3 * 5))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total, _ = action(logits, 0, mode=label_modes.Hierarchical(SPACE))
    moved = np.argwhere(np.abs(tape.gradient(total, logits).numpy()) > 0)
    expected = []
    for frame, roi in ((0, 0), (1, 0)):
        outputs = 5 * ACTOR[frame, roi] + np.arange(5)
        expected += [[frame, roi, output] for output in outputs]
    assert moved.tolist() == expected


def test_mask_reads_the_true_class_alone_and_is_averaged_over_pixels_and_positives():
    logits, truth = (
        normal(2, 4, 2, 2, 3),
        RNG.integers(0, 2, (2, 4, 2, 2)).astype(np.float32),
    )
    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        own = mask.pick_classes(variable, tf.constant(np.minimum(CLASS, 2)))
        made = losses.mask(own, tf.constant(truth), tf.constant(ROWS["positive"]))
    expected = [
        cross_entropy(logits[b, r, :, :, c], truth[b, r]).mean()
        for b, r, c in TRUE_CLASSES
    ]
    assert float(made[1]) == 3
    assert quotient(made) == pytest.approx(np.sum(expected) / 3, abs=1e-6)
    gradient = tape.gradient(made[0], variable).numpy()
    moved = np.argwhere(np.abs(gradient).max(axis=(2, 3)) > 0)
    assert {tuple(place) for place in moved} == set(TRUE_CLASSES)
