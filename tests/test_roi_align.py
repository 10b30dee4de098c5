"""RoIAlign: literals, an independent separable oracle, levels, the gradient, the legacy flavour."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.ops import roi_align


def separable(feature, box, n):
    """ROIAlign v2 in numpy: clamped one-dimensional interpolation matrices, sampling ratio 2."""

    def matrix(first, last, length):
        samples = first + (np.arange(2 * n) + 0.5) * (last - first) / (2 * n) - 0.5
        samples = np.clip(samples, 0, length - 1)
        low = np.minimum(np.floor(samples).astype(int), max(length - 2, 0))
        weights = np.zeros((2 * n, length))
        weights[np.arange(2 * n), low] += 1 - (samples - low)
        weights[np.arange(2 * n), np.minimum(low + 1, length - 1)] += samples - low
        return weights.reshape(n, 2, length).mean(axis=1)

    height, width, _ = feature.shape
    rows, columns = matrix(box[0], box[2], height), matrix(box[1], box[3], width)
    return np.einsum("ih,hwc,jw->ijc", rows, feature, columns)


def test_detectron2_literal():
    feature = tf.reshape(tf.range(25, dtype=tf.float32), [1, 5, 5, 1])
    # The box is [1, 1, 3, 3] of a stride-4 map: times four in image pixels.
    cells = roi_align.roi_align([feature], tf.constant([[[4.0, 4, 12, 12]]]), 4)
    expected = [[4.5, 5, 5.5, 6], [7, 7.5, 8, 8.5], [9.5, 10, 10.5, 11], [12, 12.5, 13, 13.5]]
    np.testing.assert_allclose(cells[0, 0, :, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize("n", [7, 14])
def test_matches_the_oracle_border_boxes_included(n):
    rng = np.random.default_rng(n)
    height, width = 16, 24
    feature = rng.normal(size=(2, height, width, 3)).astype(np.float32)
    corners = rng.uniform(0, 1, (2, 40, 2, 2)) * [height, width]
    boxes = np.sort(corners, axis=2).reshape(2, 40, 4)
    boxes[:, 0] = [0, 0, height, width]
    boxes[:, 1] = [0, width - 2, 3, width]
    boxes[:, 2] = [height - 0.4, 0, height, 0.3]
    made = roi_align.roi_align([feature], tf.constant(4 * boxes, tf.float32), n)
    expected = [[separable(f, box, n) for box in rows] for f, rows in zip(feature, boxes)]
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_resize_invariance():
    """A box twice as large on a map twice as fine sees the same ramp."""
    ramp = tf.reshape(tf.range(16.0), [1, 1, 16, 1]) * tf.ones([1, 16, 1, 1])
    fine = tf.repeat(tf.repeat(ramp, 2, axis=1), 2, axis=2)
    coarse = roi_align.roi_align([ramp], tf.constant([[[8.0, 8, 40, 40]]]), 4)
    finer = roi_align.roi_align([fine], tf.constant([[[16.0, 16, 80, 80]]]), 4)
    np.testing.assert_allclose(coarse, finer, atol=1e-5)


def test_order_is_kept_over_levels():
    pyramid = [tf.fill([2, 64 // 2**i, 64 // 2**i, 1], float(i)) for i in range(4)]
    sides = [20.0, 224, 60, 120, 256, 30]
    rois = tf.constant([[[0.0, 0, side, side] for side in sides]] * 2)
    cells = roi_align.roi_align(pyramid, rois, 7)
    assert cells.shape == (2, 6, 7, 7, 1)
    # floor(4 + log2(side / 224)) - 2, clamped to 0..3
    assert cells[1, :, 3, 3, 0].numpy().tolist() == [0, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("side, level", [(111.9, 0), (112, 1), (223.9, 1), (224, 2), (448, 3)])
def test_levels_floor(side, level):
    box = tf.constant([[0.0, 0, side, side]])
    assert roi_align.assign_levels(box, 4).numpy() == [level]


def test_gradient_is_exact_where_rois_coincide():
    """Sum of the map's gradient = number of cells, however many RoIs lie on each other."""
    tf.config.experimental.enable_op_determinism()
    feature = tf.Variable(tf.ones([1, 16, 16, 4]))
    rois = tf.tile(tf.constant([[[8.0, 8, 40, 40]]]), [1, 200, 1])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(roi_align.roi_align([feature], rois, 7))
    np.testing.assert_allclose(
        tf.reduce_sum(tape.gradient(total, feature)), 200 * 49 * 4, rtol=1e-5
    )


def test_legacy_samples_corners_and_rounds_levels():
    feature = tf.reshape(tf.range(25, dtype=tf.float32), [1, 5, 5, 1])
    # matterport 2.1 normalises (y1, x1, y2 - 1, x2 - 1) by (H - 1, W - 1): here 0..1, so the
    # samples are the map's own corners and centre.
    cells = roi_align.roi_align([feature], tf.constant([[[0.0, 0, 20, 20]]]), 3, "legacy", (20, 20))
    assert cells[0, 0, :, :, 0].numpy().tolist() == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    sides = tf.constant([[0.0, 0, 160, 160], [0.0, 0, 150, 150], [0.0, 0, 30, 30]])
    assert roi_align.assign_levels(sides, 4, "legacy", (256, 256)).numpy().tolist() == [2, 1, 0]


def test_legacy_normalises_to_the_last_pixel():
    boxes = tf.constant([[0.0, 0, 101, 201], [10, 20, 61, 121], [0, 0, 1, 1]])
    made = roi_align.legacy_normalise(boxes, (101, 201))
    np.testing.assert_allclose(made, [[0, 0, 1, 1], [0.1, 0.1, 0.6, 0.6], [0, 0, 0, 0]], atol=1e-7)


@pytest.mark.parametrize(
    "octaves, level", [(-3, 0), (-1.49, 1), (-0.51, 1), (-0.49, 2), (0.49, 2), (0.51, 3), (3, 3)]
)
def test_legacy_levels_round_the_octaves_of_the_inclusive_side(octaves, level):
    # The side by which matterport judges is that of the inclusive box, over H - 1, times H.
    side = 224 * 2**octaves * 255 / 256 + 1
    box = tf.constant([[0.0, 0, side, side]])
    assert roi_align.assign_levels(box, 4, "legacy", (256, 256)).numpy() == [level]


def test_no_rois():
    cells = roi_align.roi_align([tf.ones([2, 8, 8, 3])] * 4, tf.zeros([2, 0, 4]), 7)
    assert cells.shape == (2, 0, 7, 7, 3)
