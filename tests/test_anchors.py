"""Anchors: sizes, ratios, order."""

import numpy as np

from a2d_tf.ops import anchors


def test_literals():
    made = anchors.generate([(1, 2), (1, 1)], (4, 8), (16, 32))
    tall, wide = 16 * 2**0.5 / 2, 16 / 2**0.5 / 2
    np.testing.assert_allclose(
        made,
        [
            [-tall, -wide, tall, wide], [-8, -8, 8, 8], [-wide, -tall, wide, tall],
            [-tall, 4 - wide, tall, 4 + wide], [-8, -4, 8, 12], [-wide, 4 - tall, wide, 4 + tall],
            [-2 * tall, -2 * wide, 2 * tall, 2 * wide], [-16, -16, 16, 16],
            [-2 * wide, -2 * tall, 2 * wide, 2 * tall],
        ],
        rtol=1e-6,
    )  # fmt: skip
    assert made.dtype == np.float32


def test_paper_size_counts():
    shapes = [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]
    made = anchors.generate(shapes, (4, 8, 16, 32, 64), (16, 32, 64, 128, 256))
    assert made.shape == (3 * (4096 + 1024 + 256 + 64 + 16), 4)
    areas = np.prod(made[:, 2:] - made[:, :2], axis=1)
    np.testing.assert_allclose(np.unique(np.round(areas)), [256, 1024, 4096, 16384, 65536])
