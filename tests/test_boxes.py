"""Boxes: areas, overlaps, the coder, clipping."""

import math

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.ops import boxes
from a2d_tf.ops.boxes import BoxCoder

HEAD = BoxCoder((10.0, 10.0, 5.0, 5.0))


def test_iou_of_half_open_boxes():
    a = tf.constant([[0.0, 0, 2, 2], [5.0, 5, 5, 9]])
    b = tf.constant([[1.0, 1, 3, 3], [0.0, 0, 2, 2], [2.0, 0, 4, 2]])
    expected = [[1 / 7, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(boxes.iou(a, b), expected, atol=1e-7)


def test_coder_literals():
    anchor, box = tf.constant([[0.0, 0, 10, 20]]), tf.constant([[5.0, 5, 25, 15]])
    # Centres (5, 10) -> (15, 10); sizes (10, 20) -> (20, 10).
    expected = [[10 * 1.0, 0.0, 5 * math.log(2), -5 * math.log(2)]]
    np.testing.assert_allclose(HEAD.encode(box, anchor), expected, atol=1e-6)


@pytest.mark.parametrize(
    "coder", [HEAD, BoxCoder((1.0, 1.0, 1.0, 1.0)), BoxCoder((1.0, 2.0, 3.0, 4.0))]
)
def test_decode_inverts_encode(coder):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 200, (2, 50, 2))
    made = np.concatenate([corner, corner + rng.uniform(2, 100, (2, 50, 2))], -1).astype("f")
    back = coder.decode(coder.encode(made[0], made[1]), made[1])
    np.testing.assert_allclose(back, made[0], atol=2e-3)


def test_clip_to_each_frame():
    batch = tf.constant([[[-5.0, -5, 50, 50]], [[1.0, 2, 3, 4]]])
    clipped = boxes.clip(batch, tf.constant([[20, 30], [20, 30]]))
    assert clipped.numpy().tolist() == [[[0, 0, 20, 30]], [[1, 2, 3, 4]]]
