"""Targets: which anchors and RoIs count, and what they should have said."""

import math

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.core.labels import A2D
from a2d_tf.model import targets
from a2d_tf.model.heads.actor import ActorHead
from a2d_tf.model.heads.proposals import Proposals
from a2d_tf.model.label_modes import Cartesian
from a2d_tf.model.structures import BatchTruth, SampledRois
from a2d_tf.ops.boxes import BoxCoder

UNIT = BoxCoder((1.0, 1.0, 1.0, 1.0))
SEED = tf.constant([0, 1])


def test_a_clip_draws_the_same_whatever_is_beside_it():
    whole = targets.Rng(SEED, [0, 1, 2, 3], 4).uniform([5])
    assert whole.shape == (4, 5) and len(np.unique(whole)) == 20
    parts = [targets.Rng(SEED, rows, 4).uniform([5]) for rows in ([0, 2], [3, 1])]
    np.testing.assert_array_equal(tf.gather(whole, [0, 2, 3, 1]), tf.concat(parts, 0))
    first, second = targets.Rng(SEED, [0, 1, 2, 3], 4).split(2)
    assert not np.intersect1d(first.uniform([5]), second.uniform([5])).size
    shifted = targets.Rng(SEED, [0], 1).uniform([1000], -1.0, 3.0).numpy()
    assert -1 <= shifted.min() < -0.9 and 2.9 < shifted.max() < 3


NOTHING = BatchTruth._make([None] * len(BatchTruth._fields))


def batch_of(truth, present, annotated=True, size=(100, 100)):
    """The truth of a batch of one frame."""
    return NOTHING._replace(
        boxes=tf.constant([truth], tf.float32),
        present=tf.constant([present]),
        size=tf.constant([size]),
        annotated=tf.constant([annotated]),
    )


def anchor_labels(
    anchors, truth, present, size=(100, 100), annotated=True, samples=256, seed=SEED
):
    """Return each anchor's 1, 0 or None as sampled, and the sample; batch of one."""
    proposals = Proposals(np.float32(anchors), ((8.0,),), UNIT)
    labelled = batch_of(truth, present, annotated, size)
    made = proposals.sample(labelled, samples, targets.Rng(seed, [0], 1))
    names = ("index", "positive", "counted", "deltas")
    made = {name: value.numpy()[0] for name, value in zip(names, made)}
    labels = [None] * len(anchors)
    for index, positive, counted in zip(
        made["index"], made["positive"], made["counted"]
    ):
        if counted:
            assert labels[index] is None, "sampled twice"
            labels[index] = int(positive)
    return labels, made


def test_thresholds():
    # IoU with the truth: 1, .8, .7, .6, .3, .2, 0
    anchors = [[0, 0, 10, width] for width in (10, 8, 7, 6, 3, 2)] + [[50, 50, 60, 60]]
    labels, _ = anchor_labels(anchors, [[0, 0, 10, 10]], [True])
    assert labels == [1, 1, 1, None, None, 0, 0]


def test_best_anchor_of_each_instance_is_positive_ties_included():
    truth = [[0, 0, 10, 10], [40, 40, 50, 50]]
    # The first instance has an anchor of IoU .4 at best, twice; the second one of .5.
    anchors = [
        [0, 0, 10, 4],
        [0, 6, 10, 10],
        [0, 0, 10, 3.5],
        [40, 40, 50, 45],
        [80, 80, 90, 90],
    ]
    labels, made = anchor_labels(anchors, truth, [True, True])
    assert labels == [1, 1, None, 1, 0]
    # Each is sent to its own instance: here to the box whose width is 2.5 or 2 times
    # larger.
    by_anchor = dict(
        zip(made["index"][made["positive"]], made["deltas"][made["positive"]])
    )
    np.testing.assert_allclose(by_anchor[0], [0, 0.75, 0, math.log(2.5)], atol=1e-6)
    np.testing.assert_allclose(by_anchor[1], [0, -0.75, 0, math.log(2.5)], atol=1e-6)
    np.testing.assert_allclose(by_anchor[3], [0, 0.5, 0, math.log(2)], atol=1e-6)


def test_what_is_far_or_absent_makes_no_positive():
    labels, _ = anchor_labels(
        [[0, 0, 10, 10], [20, 20, 30, 30]], [[60, 60, 70, 70]], [True]
    )
    assert labels == [0, 0]
    truth = [[0, 0, 10, 10], [20, 20, 30, 30]]
    assert anchor_labels(truth, truth, [True, False])[0] == [1, 0]
    labels, made = anchor_labels(truth, truth, [True, True], annotated=False)
    assert (
        labels == [None, None]
        and not made["positive"].any()
        and not made["deltas"].any()
    )


def test_anchors_in_the_padding_are_neither():
    anchors = [[0, 0, 10, 10], [0, 35, 10, 45], [0, 34, 10, 44], [55, 0, 65, 10]]
    labels, _ = anchor_labels(anchors, [[0, 0, 10, 10]], [True], size=(60, 40))
    assert labels == [1, None, 0, None]
    # Nor is one there the best of an instance at the border: the best one inside is.
    anchors = [[0, 34, 10, 52], [0, 30, 10, 36]]
    labels, _ = anchor_labels(anchors, [[0, 34, 10, 40]], [True], size=(60, 40))
    assert labels == [None, 1]


@pytest.mark.parametrize(
    "positives, negatives, expected",
    [(300, 300, (128, 128)), (3, 400, (3, 253)), (200, 10, (128, 10)), (5, 6, (5, 6))],
)
def test_quotas(positives, negatives, expected):
    anchors = [[0, 0, 10, 10]] * positives + [[50, 50, 60, 60]] * negatives
    labels, made = anchor_labels(anchors, [[0, 0, 10, 10]], [True])
    assert (labels.count(1), labels.count(0)) == expected
    assert made["positive"].sum() == expected[0] and made["counted"].sum() == sum(
        expected
    )


def test_the_sample_comes_from_the_seed_and_is_spread():
    anchors = [[0, 0, 10, 10]] * 300 + [[50, 50, 60, 60]] * 300

    def run(seed):
        return anchor_labels(
            anchors, [[0, 0, 10, 10]], [True], seed=tf.constant([3, seed])
        )[0]

    assert run(1) == run(1) != run(2)
    chosen = np.sum(
        [[label is not None for label in run(seed)] for seed in range(20)], axis=0
    )
    # of 20; each is as likely as any other
    assert chosen.min() >= 1 and chosen.max() <= 19


# RoIs.


def rois(
    proposals,
    samples=64,
    fraction=1 / 3,
    add_truth=True,
    truth=((0, 0, 10, 10),),
    **more,
):
    present = more.pop("present", [True] * len(truth))
    made = targets.sample_rois(
        tf.constant([proposals], tf.float32),
        tf.constant([[True] * len(proposals)]),
        batch_of(truth, present, **more),
        samples=samples,
        positives=targets.most_positives(samples, fraction),
        add_truth=add_truth,
        rng=targets.Rng(SEED, [0], 1),
    )
    return {name: value.numpy()[0] for name, value in made._asdict().items()}


NEAR, FAR = [0.0, 0, 10, 9], [50.0, 50, 60, 60]


@pytest.mark.parametrize(
    "samples, fraction, most",
    [(64, 1 / 3, 22), (64, 0.25, 16), (64, 0.5, 32), (2, 0.1, 1), (100, 0.07, 7)],
)
def test_at_most_a_fraction_is_positive_and_positives_come_first(
    samples, fraction, most
):
    made = rois([NEAR] * 100 + [FAR] * 100, samples=samples, fraction=fraction)
    assert made["positive"].tolist() == [True] * most + [False] * (samples - most)
    assert made["counted"].all() and (made["boxes"][most:] == FAR).all()
    assert all(roi.tolist() in (NEAR, [0, 0, 10, 10]) for roi in made["boxes"][:most])


@pytest.mark.parametrize(
    "proposals, options, positive, counted",
    [
        ([NEAR] * 3 + [FAR] * 200, dict(add_truth=False), 3, 64),
        ([NEAR] * 100 + [FAR] * 5, {}, 22, 27),
        ([FAR] * 3, dict(samples=4), 1, 4),
        ([FAR] * 3, dict(samples=4, add_truth=False), 0, 3),
        ([FAR, NEAR], dict(truth=[[0, 0, 10, 10], FAR], present=[False] * 2), 0, 2),
        ([NEAR] * 50 + [FAR] * 50, dict(annotated=False), 0, 0),
    ],
    ids=[
        "more background",
        "little",
        "truth joins",
        "or not",
        "absent",
        "not annotated",
    ],
)
def test_how_many_rois_are_positive_and_count(proposals, options, positive, counted):
    made = rois(proposals, **options)
    assert (made["positive"].sum(), made["counted"].sum()) == (positive, counted)
    assert (made["boxes"][counted:] == [0, 0, 16, 16]).all()


def test_positive_from_half_an_overlap_on():
    made = rois([[0, 0, 10, 5], [0, 0, 10, 4.9]], samples=4, add_truth=False)
    assert made["boxes"][:2].tolist() == [[0, 0, 10, 5], [0, 0, 10, np.float32(4.9)]]
    assert made["positive"].tolist() == [True, False, False, False]


def test_each_roi_knows_its_instance():
    truth = [[0, 0, 10, 10], [20, 20, 40, 40], [20, 20, 40, 42]]
    proposals = [[20, 20, 40, 40], [0, 0, 10, 8], [20, 20, 40, 42], FAR]
    made = rois(proposals, truth=truth, samples=30, add_truth=False)
    matches = {
        tuple(roi): match for roi, match in zip(made["boxes"][:3], made["match"][:3])
    }
    assert matches == {(20, 20, 40, 40): 1, (0, 0, 10, 8): 0, (20, 20, 40, 42): 2}


def test_no_gradient_passes_the_sample():
    proposals = tf.constant([[NEAR, FAR]])
    with tf.GradientTape() as tape:
        tape.watch(proposals)
        valid, batch = tf.constant([[True, True]]), batch_of([[0, 0, 10, 10]], [True])
        options = {"samples": 4, "positives": 1, "add_truth": True}
        rng = targets.Rng(SEED, [0], 1)
        made = targets.sample_rois(proposals, valid, batch, rng=rng, **options)
        total = tf.reduce_sum(made.boxes)
    assert tape.gradient(total, proposals) is None


def test_roi_targets():
    rois = SampledRois(
        boxes=tf.constant([[[0.0, 0, 10, 20], [0.0, 0, 10, 20], [50.0, 50, 60, 60]]]),
        match=tf.constant([[1, 0, 1]]),
        positive=tf.constant([[True, True, False]]),
        counted=None,
    )
    pairs = A2D.pairs[[40, 41]]
    truth = NOTHING._replace(
        boxes=tf.constant([[[0.0, 0, 10, 20], [5.0, 5, 25, 15]]]),
        actors=tf.constant(pairs[None, :, 0]),
        actions=tf.constant(pairs[None, :, 1]),
    )
    head = ActorHead(Cartesian(A2D), BoxCoder((10.0, 10.0, 5.0, 5.0)))
    classes, deltas = head.targets(rois, truth)
    assert classes.numpy().tolist() == [[41, 40, 43]]
    expected = [[10, 0, 5 * math.log(2), -5 * math.log(2)], [0] * 4, [0] * 4]
    np.testing.assert_allclose(deltas[0], expected, atol=1e-5)
