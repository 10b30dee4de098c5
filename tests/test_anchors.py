"""Anchors: sizes, ratios, order, and what they cover."""

import numpy as np
import tensorflow as tf

from a2d_tf.ops import anchors
from a2d_tf.ops import boxes as box_ops


def test_literals():
    made = anchors.generate([(1, 2), (1, 1)], (4, 8), (16, 32))
    tall, wide = 16 * 2**0.5 / 2, 16 / 2**0.5 / 2
    np.testing.assert_allclose(
        made,
        [
            [-tall, -wide, tall, wide],
            [-8, -8, 8, 8],
            [-wide, -tall, wide, tall],
            [-tall, 4 - wide, tall, 4 + wide],
            [-8, -4, 8, 12],
            [-wide, 4 - tall, wide, 4 + tall],
            [-2 * tall, -2 * wide, 2 * tall, 2 * wide],
            [-16, -16, 16, 16],
            [-2 * wide, -2 * tall, 2 * wide, 2 * tall],
        ],
        rtol=1e-6,
    )
    assert made.dtype == np.float32


def test_a_level_may_have_several_sizes():
    made = anchors.generate([(1, 2), (1, 1)], (4, 8), ((8, 16), 32))
    one, other = (anchors.generate([(1, 2)], (4,), (size,)) for size in (8, 16))
    # Cell by cell, first the small ones.
    wanted = np.concatenate([one[:3], other[:3], one[3:], other[3:]])
    np.testing.assert_array_equal(made[:12], wanted)
    np.testing.assert_array_equal(made[12:], anchors.generate([(1, 1)], (8,), (32,)))


def test_the_best_overlap_is_that_of_the_anchors_one_by_one():
    rng = np.random.default_rng(0)
    frames = rng.choice([(64, 96), (40, 96), (64, 37)], 60)
    corner = rng.uniform(0, 0.7, (60, 2)) * frames
    boxes = np.concatenate(
        [corner, np.minimum(corner + rng.uniform(3, 60, (60, 2)), frames)], 1
    )
    strides, sizes = (4, 8, 16), ((6, 12), 24, (40, 50, 60))
    shapes = [(64 // stride, 96 // stride) for stride in strides]
    made = anchors.generate(shapes, strides, sizes)
    overlaps = box_ops.iou(tf.constant(boxes), tf.cast(made, tf.float64)).numpy()
    inside = ((made[:, :2] + made[:, 2:]) / 2 < frames[:, None]).all(axis=2)
    np.testing.assert_allclose(
        anchors.best_overlaps(boxes, frames, strides, sizes),
        np.where(inside, overlaps, 0).max(axis=1),
        atol=1e-6,
    )
    assert anchors.best_overlaps(
        np.zeros((0, 4)), np.zeros((0, 2)), strides, sizes
    ).shape == (0,)
