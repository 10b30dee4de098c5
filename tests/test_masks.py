"""Masks: targets, pasting, painting; on the host as in the graph."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.data.segmentations import encode_mask
from a2d_tf.ops import masks
from a2d_tf.ops.label_painter import LabelPainter, mask_patches


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


def paint(scores, probabilities=(1.0, 1.0)):
    squares = tf.constant(probabilities)[None, :, None, None] * tf.ones([1, 2, 28, 28])
    boxes = tf.constant([[[0.0, 0, 2, 2], [0.0, 1, 2, 3]]])
    codes = tf.constant([[11, 22]])
    made = masks.paint_label_map(
        squares, boxes, tf.constant([scores]), codes, height=2, width=4
    )
    return made.numpy()[0].tolist()


def test_a_pixel_goes_to_the_highest_score_above_0_whose_mask_is_at_least_one_half():
    assert paint([0.9, 0.8]) == [[11, 11, 22, 0]] * 2
    assert paint([0.7, 0.8]) == [[11, 22, 22, 0]] * 2
    assert paint([0.9, 0.8], (0.4, 1.0)) == [[0, 22, 22, 0]] * 2
    assert paint([0.0, 0.8]) == [[0, 22, 22, 0]] * 2


# ---- on the host

HEIGHT, WIDTH = 45, 60


def instances(seed, levels):
    """Draw (masks, boxes, scores, codes) of 12 instances.

    Masks have `levels` levels, 0: any number.

    Some boxes leave the frame, some are empty, and every third has whole corners.
    """
    rng = np.random.default_rng(seed)
    grids = rng.uniform(0, 1, (12, 28, 28)).astype(np.float32)
    if levels:
        grids = np.round(grids * levels) / np.float32(levels)
    corner = rng.uniform(-20, 50, (12, 2))
    boxes = np.hstack([corner, corner + rng.uniform(-2, 40, (12, 2))]).astype(
        np.float32
    )
    boxes[::3] = np.round(boxes[::3])
    scores = rng.choice(np.float32([0, 0.25, 0.5, 0.7, 0.9]), 12)  # some of them tied
    return grids, boxes, scores, rng.integers(1, 80, 12).astype(np.int32)


@pytest.mark.parametrize("levels", [0, 2, 4])
def test_pixels_are_those_of_the_graph(levels):
    for seed in range(3):
        grids, boxes, scores, codes = instances(seed, levels)
        patches = list(mask_patches(grids, boxes, HEIGHT, WIDTH))
        for patch, expected in zip(
            patches, masks.paste(grids, boxes, HEIGHT, WIDTH).numpy()
        ):
            whole = np.zeros((HEIGHT, WIDTH), np.float32)
            whole[patch.rows, patch.columns] = patch.probabilities
            # Equal to the bit, where processors fuse multiplication and addition.
            np.testing.assert_allclose(whole, expected, rtol=0, atol=2e-7)
            np.testing.assert_array_equal(patch.mask(HEIGHT, WIDTH), expected >= 0.5)
            assert patch.rle(HEIGHT, WIDTH) == encode_mask(expected >= 0.5)
        painter = LabelPainter(HEIGHT, WIDTH)
        for patch, score, code in zip(patches, scores, codes):
            painter.paint(patch, score, code)
        row = (x[None] for x in (grids, boxes, scores, codes))
        expected = masks.paint_label_map(*row, height=HEIGHT, width=WIDTH)
        np.testing.assert_array_equal(painter.labels, expected[0])
        assert len(np.unique(painter.labels)) > 3
