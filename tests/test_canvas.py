"""The canvas: fitted sizes, padding, flow that scales with its frame."""

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.data.flow import fit, resize_frame
from a2d_tf.ops import canvas


@pytest.mark.parametrize("limits", [(256, 256), (128, 512)])
@pytest.mark.parametrize(
    "size", [(320, 568), (320, 426), (568, 320), (256, 256), (64, 64), (2, 4000), (1, 1000)]
)
def test_fitted_sizes_are_those_of_records(size, limits):
    fitted = canvas.fitted_size(tf.constant(size), limits).numpy()
    assert fitted.tolist() == list(fit(*size, *limits))


def test_a_frame_that_fits_is_only_padded():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 4, 5, 3), np.uint8)
    flow = rng.normal(size=(2, 4, 5, 2)).astype(np.float32)
    placed, vectors, size = canvas.place(tf.constant(rgb), tf.constant(flow), (4, 8))
    assert size.numpy().tolist() == [4, 5]
    assert (placed[:, :, :5].numpy() == rgb).all() and not placed[:, :, 5:].numpy().any()
    assert (vectors[:, :, :5].numpy() == flow).all() and not vectors[:, :, 5:].numpy().any()


def test_padding_is_below_and_right():
    rgb, flow = tf.fill([1, 10, 20, 3], tf.constant(9, tf.uint8)), tf.ones([1, 10, 20, 2])
    placed, vectors, _ = canvas.place(rgb, flow, (8, 8))
    inside = np.zeros((8, 8), bool)
    inside[:4] = True
    assert placed.dtype == tf.uint8
    assert ((placed[0, :, :, 1] == 9).numpy() == inside).all()
    assert ((vectors[0, :, :, 0] != 0).numpy() == inside).all()


def test_flow_scales_with_each_side():
    # 30 x 50 fits 16 x 16 as 10 x 16 (9.6 rounded): u by 16 / 50, v by 10 / 30.
    flow = tf.ones([1, 30, 50, 2]) * tf.constant([2.0, 3.0])
    _, vectors, size = canvas.place(tf.zeros([1, 30, 50, 3], tf.uint8), flow, (16, 16))
    assert size.numpy().tolist() == [10, 16]
    np.testing.assert_allclose(vectors[0, :10, :, 0], np.full((10, 16), 0.64), atol=1e-6)
    np.testing.assert_allclose(vectors[0, :10, :, 1], np.full((10, 16), 1.0), atol=1e-6)


@pytest.mark.parametrize(
    "size, canvas_size", [((45, 70), (16, 24)), ((96, 64), (48, 32)), ((9, 14), (32, 48))]
)
def test_frames_are_resized_as_the_records_are(size, canvas_size):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, *size, 3), np.uint8)
    flow = rng.normal(size=(2, *size, 2)).astype(np.float32)
    placed, vectors, inside = canvas.place(tf.constant(rgb), tf.constant(flow), canvas_size)
    height, width = inside.numpy()
    for made, frame in zip(placed[:, :height, :width].numpy(), rgb):
        assert np.abs(made.astype(int) - resize_frame(frame, height, width)).max() <= 1
    for made, field in zip(vectors[:, :height, :width].numpy(), flow):
        expected = resize_frame(field, height, width) * [width / size[1], height / size[0]]
        np.testing.assert_allclose(made, expected, atol=2e-3)


def test_contents_stay_in_their_place():
    rgb = np.zeros((1, 16, 32, 3), np.uint8)
    rgb[:, 4:8, 8:24] = 200
    placed, _, _ = canvas.place(tf.constant(rgb), tf.zeros([1, 16, 32, 2]), (16, 16))
    rows, columns = np.nonzero(placed[0, :, :, 0].numpy() > 100)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (2, 4, 4, 12)


def test_shape_is_static_under_a_graph():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8),
            tf.TensorSpec([None, None, None, 2]),
        ]
    )
    def run(rgb, flow):
        rgb, flow, _ = canvas.place(rgb, flow, (32, 64))
        assert rgb.shape[1:] == (32, 64, 3) and flow.shape[1:] == (32, 64, 2)
        return rgb

    assert run(np.zeros((3, 7, 9, 3), np.uint8), np.zeros((3, 7, 9, 2), np.float32)).shape[0] == 3
