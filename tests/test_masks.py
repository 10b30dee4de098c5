"""Masks: targets, pasting, painting."""

import numpy as np
import tensorflow as tf

from a2d_tf.ops import masks


def test_targets_are_the_matched_instance_inside_the_roi():
    truth = np.zeros((1, 2, 16, 16), np.uint8)
    truth[0, 0, 4:12, 4:12] = 1
    truth[0, 1, :, 8:] = 1
    rois = tf.constant([[[4.0, 4, 12, 12], [0.0, 0, 16, 16], [0.0, 0, 16, 16]]])
    made = masks.crop_targets(truth, rois, tf.constant([[0, 0, 1]]), 4).numpy()[0]
    assert made[0].all()
    assert made[1].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert made[2].tolist() == [[0, 0, 1, 1]] * 4


def test_paste_is_exact_on_whole_cells_and_zero_outside():
    small = tf.constant([[[0.0, 1.0], [1.0, 0.0]]])
    made = masks.paste(small, tf.constant([[1.0, 2, 3, 4]]), 4, 5).numpy()[0]
    expected = np.zeros((4, 5))
    expected[1:3, 2:4] = [[0, 1], [1, 0]]
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_paste_interpolates_between_cell_centres():
    small = tf.constant([[[0.0, 1.0], [0.0, 1.0]]])
    made = masks.paste(small, tf.constant([[0.0, 0, 1, 4]]), 1, 4).numpy()[0, 0]
    np.testing.assert_allclose(made, [0, 0.25, 0.75, 1], atol=1e-6)


def paint(scores, probabilities=(1.0, 1.0), per_pixel=False):
    squares = tf.constant(probabilities)[None, :, None, None] * tf.ones([1, 2, 28, 28])
    boxes = tf.constant([[[0.0, 0, 2, 2], [0.0, 1, 2, 3]]])
    codes = tf.constant([[11, 22]])
    made = masks.paint(
        squares, boxes, tf.constant([scores]), codes, height=2, width=4, per_pixel=per_pixel
    )
    return made.numpy()[0].tolist()


def test_a_pixel_goes_to_the_highest_scored_instance():
    assert paint([0.9, 0.8]) == [[11, 11, 22, 0]] * 2
    assert paint([0.7, 0.8]) == [[11, 22, 22, 0]] * 2


def test_masks_below_one_half_and_scores_of_zero_are_not_painted():
    assert paint([0.9, 0.8], (0.4, 1.0)) == [[0, 22, 22, 0]] * 2
    assert paint([0.0, 0.8]) == [[0, 22, 22, 0]] * 2


def test_per_pixel_weighs_by_the_mask():
    assert paint([0.9, 0.8], (0.6, 1.0)) == [[11, 11, 22, 0]] * 2
    assert paint([0.9, 0.8], (0.6, 1.0), per_pixel=True) == [[11, 22, 22, 0]] * 2
