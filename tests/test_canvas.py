"""The canvas: fitted sizes, padding, flow that scales with its frame."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.data.preparation.resizing import fitted_size, resize_frame
from a2d_tf.ops import canvas


@pytest.mark.parametrize("limits", [(256, 256), (128, 512)])
@pytest.mark.parametrize(
    "size",
    [(320, 568), (320, 426), (568, 320), (256, 256), (64, 64), (2, 4000), (1, 1000)],
)
def test_fitted_sizes_are_those_of_records(size, limits):
    fitted = canvas.fitted_size_in_graph(tf.constant(size), limits).numpy()
    assert fitted.tolist() == list(fitted_size(*size, *limits))


def test_a_frame_that_fits_is_only_padded():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 4, 5, 3), np.uint8)
    flow = rng.normal(size=(2, 4, 5, 2)).astype(np.float32)
    placed, vectors, size = canvas.place(tf.constant(rgb), tf.constant(flow), (4, 8))
    assert size.numpy().tolist() == [4, 5]
    assert (placed[:, :, :5].numpy() == rgb).all() and not placed[
        :, :, 5:
    ].numpy().any()
    assert (vectors[:, :, :5].numpy() == flow).all() and not vectors[
        :, :, 5:
    ].numpy().any()


@pytest.mark.parametrize(
    "size, canvas_size",
    [((45, 70), (16, 24)), ((96, 64), (48, 32)), ((9, 14), (32, 48))],
)
def test_frames_are_resized_as_the_records_are(size, canvas_size):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, *size, 3), np.uint8)
    flow = rng.normal(size=(2, *size, 2)).astype(np.float32)
    placed, vectors, inside = canvas.place(
        tf.constant(rgb), tf.constant(flow), canvas_size
    )
    height, width = inside.numpy()
    for made, frame in zip(placed[:, :height, :width].numpy(), rgb):
        assert np.abs(made.astype(int) - resize_frame(frame, height, width)).max() <= 1
    for made, field in zip(vectors[:, :height, :width].numpy(), flow):
        expected = resize_frame(field, height, width) * [
            width / size[1],
            height / size[0],
        ]
        np.testing.assert_allclose(made, expected, atol=2e-3)
