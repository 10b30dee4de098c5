"""RoIAlign: literals, a separable oracle, levels, the legacy convention, gradients."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from a2d_tf.ops import roi_align, roi_gradients


def matrix(first, last, length, n, samples):
    """One-dimensional interpolation, clamped to the map: float64 [n, length].

    Of n x samples points from index `first` to index `last`, `samples` of which make a
    cell.
    """
    points = np.clip(np.linspace(first, last, n * samples), 0, length - 1)
    low = np.minimum(np.floor(points).astype(int), max(length - 2, 0))
    weights, k = np.zeros((n * samples, length)), np.arange(n * samples)
    weights[k, low] += 1 - (points - low)
    weights[k, np.minimum(low + 1, length - 1)] += points - low
    return weights.reshape(n, samples, length).mean(axis=1)


def matrices(box, shape, n):
    """Return rows and columns of ROIAlign v2 with sampling ratio 2.

    `box` is in pixels of the map.
    """
    steps = (box[2:] - box[:2]) / (2 * n)
    ends = zip(box[:2] + steps / 2 - 0.5, box[2:] - steps / 2 - 0.5, shape)
    return [matrix(*axis, n, 2) for axis in ends]


def legacy_matrices(box, shape, n, image_size):
    """Return rows and columns of matterport's: a point a cell.

    Boxes are divided by the sides of the image.
    """
    ends = zip(box[:2], box[2:], image_size, shape)
    return [
        matrix(*(np.array([a, b]) * (length - 1) / side), length, n, 1)
        for a, b, side, length in ends
    ]


def boxes_inside(height, width, shape, seed=0):
    """Boxes of all sizes, three of them at the borders: float32 [*shape, 4]."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (*shape, 2, 2)) ** 1.5 * [height, width]
    boxes = np.sort(corners, axis=-2).reshape(*shape, 4)
    boxes[..., 0, :] = [0, 0, height, width]
    boxes[..., 1, :] = [0, width - 8, 12, width]
    boxes[..., 2, :] = [height - 1.6, 0, height, 1.2]
    return boxes.astype(np.float32)


def test_detectron2_literal():
    feature = tf.reshape(tf.range(25, dtype=tf.float32), [1, 5, 5, 1])
    # The box is [1, 1, 3, 3] of a stride-4 map: times four in image pixels.
    cells = roi_align.roi_align([feature], tf.constant([[[4.0, 4, 12, 12]]]), 4)
    expected = [
        [4.5, 5, 5.5, 6],
        [7, 7.5, 8, 8.5],
        [9.5, 10, 10.5, 11],
        [12, 12.5, 13, 13.5],
    ]
    np.testing.assert_allclose(cells[0, 0, :, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "determinism, on_gpu",
    [(True, False), (False, False), (True, True)],
    indirect=["determinism"],
)
def test_gradient_is_exact_where_rois_coincide(determinism, on_gpu):
    """However the threads run: no update of a pixel that many RoIs share is lost."""
    rng = np.random.default_rng(0)
    shape, n, count, box = (2, 16, 16), 7, 100, np.array([2.0, 2, 10.3, 9])
    feature = tf.zeros([*shape, 8])
    rois = tf.tile(tf.constant(4 * box, tf.float32)[None, None], [2, count, 1])
    into = rng.normal(size=(2, count, n, n, 8)).astype(np.float32)

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(feature)
            kind = roi_align.gradient_for(on_gpu)
            cells = roi_align.roi_align([feature], rois, n, gradient=kind)
        return tape.gradient(cells, feature, tf.constant(into)).numpy()

    rows, columns = matrices(box, shape[1:], n)
    expected = np.einsum("ih,brijc,jw->bhwc", rows, into.astype(np.float64), columns)
    made = gradient()
    np.testing.assert_allclose(made, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(made, gradient())


SIZE = (256, 320)


@functools.cache
def case(convention, levels):
    """Draw (pyramid, rois, gradient of the cells, [cells, gradients of the maps]).

    The last are in float64.
    """
    rng, n = np.random.default_rng(1), 7
    shapes = [(-(-SIZE[0] // s), -(-SIZE[1] // s)) for s in (4, 8, 16, 32, 64)[:levels]]
    pyramid = [rng.normal(size=(2, *shape, 3)).astype(np.float32) for shape in shapes]
    rois = boxes_inside(*SIZE, (2, 30))
    rois[1, 3:] = [4, 4, 30, 30]  # one frame has but a few on the other levels
    assigned = roi_align.assign_levels(tf.constant(rois), levels, convention).numpy()
    assert set(assigned.ravel()) == {0, 1, 2}
    into = rng.normal(size=(2, 30, n, n, 3)).astype(np.float32)
    expected = [np.zeros(into.shape), *(np.zeros(x.shape) for x in pyramid)]
    for b, r in np.ndindex(2, 30):
        level = assigned[b, r]
        if convention == "legacy":
            rows, columns = legacy_matrices(rois[b, r], shapes[level], n, SIZE)
        else:
            rows, columns = matrices(rois[b, r] / 4 / 2**level, shapes[level], n)
        features = pyramid[level][b]
        expected[0][b, r] = np.einsum(
            "ih,hwc,jw->ijc", rows, features, columns, optimize=True
        )
        back = np.einsum("ih,ijc,jw->hwc", rows, into[b, r], columns, optimize=True)
        expected[1 + level][b] += back
    return pyramid, rois, into, expected


@pytest.mark.parametrize("convention", ["aligned", "legacy"])
@pytest.mark.parametrize(
    "kind, chunk, levels",
    [
        (roi_gradients.sparse, 2**24, 5),
        (roi_gradients.segments, 2**24, 5),
        (
            roi_gradients.segments,
            60 * 7 * 7 * 16 * 2,
            3,
        ),  # two of three channels at a time
        (None, 2**24, 3),  # what a GPU without determinism uses
    ],
)
def test_all_gradients_are_of_the_same_map(
    kind, convention, chunk, levels, monkeypatch
):
    """Both ways against float64, on all levels, and on two of five that get no RoI."""
    monkeypatch.setattr(roi_gradients, "_CHUNK", chunk)
    pyramid, rois, into, expected = case(convention, levels)
    options = dict(convention=convention, image_size=SIZE, gradient=kind)
    pyramid = [tf.constant(x) for x in pyramid]
    with tf.GradientTape() as tape:
        tape.watch(pyramid)
        cells = roi_align.roi_align(pyramid, tf.constant(rois), 7, **options)
    np.testing.assert_allclose(cells, expected[0], atol=2e-4)
    gradients = tape.gradient(cells, pyramid, tf.constant(into))
    for gradient, exact in zip(gradients, expected[1:]):
        np.testing.assert_allclose(
            gradient, exact, atol=1e-4 * max(np.abs(exact).max(), 1e-6)
        )


def test_legacy_boxes_that_end_at_the_border_read_no_zeros():
    """A sample rounded past the last pixel once read zero: in a fifth of such RoIs."""
    size = (128, 160)
    pyramid = [tf.ones([1, size[0] // s, size[1] // s, 1]) for s in (4, 8, 16, 32)]
    rois = boxes_inside(*size, (1, 200))
    rois[..., 2:] = size
    cells = roi_align.roi_align(pyramid, rois, 7, "legacy", image_size=size)
    np.testing.assert_allclose(cells, np.ones((1, 200, 7, 7, 1)), atol=1e-5)


def test_levels():
    boxes = [[0.0, 0, side, side] for side in (111.9, 112, 223.9, 224, 448)]
    assert roi_align.assign_levels(tf.constant(boxes), 4).numpy().tolist() == [
        0,
        1,
        1,
        2,
        3,
    ]
    # matterport rounds the octaves.
    sides = [224 * 2**octaves for octaves in (-3, -1.49, -0.51, -0.49, 0.49, 0.51, 3)]
    boxes = tf.constant([[0.0, 0, side, side] for side in sides])
    legacy = roi_align.assign_levels(boxes, 4, "legacy")
    assert legacy.numpy().tolist() == [0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("kind", [roi_gradients.sparse, roi_gradients.segments])
def test_no_rois(kind):
    pyramid = [tf.ones([2, 8, 8, 3])] * 4
    with tf.GradientTape() as tape:
        tape.watch(pyramid)
        cells = roi_align.roi_align(pyramid, tf.zeros([2, 0, 4]), 7, gradient=kind)
    assert cells.shape == (2, 0, 7, 7, 3)
    assert not any(x.numpy().any() for x in tape.gradient(cells, pyramid))
