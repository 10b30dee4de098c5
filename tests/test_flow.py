"""Flow methods on known motion, and the sizes of frames."""

import cv2
import numpy as np
import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.data.preparation.flow import METHODS, Flow, grey
from a2d_tf.data.preparation.resizing import fitted_size, resize_frame


def between(method, previous, current, size=None):
    """Flow between two RGB frames, at their own size by default."""
    size = size or previous.shape[:2]
    return Flow(method)(grey(previous, size), grey(current, size), size)


def shifted_pair(u, v, size=(96, 128), margin=24):
    """A smooth texture and the same moved by whole pixels: right by u, down by v."""
    noise = np.random.default_rng(0).uniform(
        0, 255, (size[0] + 2 * margin, size[1] + 2 * margin)
    )
    texture = cv2.normalize(
        cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX
    )
    texture = np.repeat(texture[..., None].astype(np.uint8), 3, axis=2)

    def crop(y, x):
        return np.ascontiguousarray(texture[y : y + size[0], x : x + size[1]])

    return crop(margin, margin), crop(margin - v, margin - u)


@pytest.mark.parametrize(
    "method", [m for m in METHODS if m != "tvl1" or hasattr(cv2, "optflow")]
)
def test_flow_points_from_the_previous_frame_to_the_current_one(method):
    for u, v in ((3, 0), (0, 2), (-4, 1)):
        flow = between(method, *shifted_pair(u, v))
        assert flow.shape == (96, 128, 2) and flow.dtype == np.float32
        inner = flow[16:-16, 16:-16].reshape(-1, 2)
        np.testing.assert_allclose(np.median(inner, axis=0), [u, v], atol=0.2)


def test_flow_does_not_depend_on_the_threads():
    pair, threads = shifted_pair(3, 1), cv2.getNumThreads()
    flows = []
    for count in (1, 2):
        cv2.setNumThreads(count)
        flows.append(between("dis", *pair))
    cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*flows)


@pytest.mark.skipif(hasattr(cv2, "optflow"), reason="this OpenCV has it")
def test_tvl1_needs_the_contributed_modules():
    with pytest.raises(InputError, match="install opencv-contrib-python"):
        Flow("tvl1")


@pytest.mark.parametrize("size", [(1, 1000), (9, 40), (15, 1024), (300, 2), (8, 8)])
def test_frames_that_are_too_low_for_a_pyramid(size):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    flow = between("dis", noise, np.roll(noise, 2, axis=1))
    assert flow.shape == (*size, 2) and np.isfinite(flow).all()


def texture(rng, height, width, sigma=1.5):
    """Colours without large even areas."""
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)), (0, 0), sigma)
    return cv2.normalize(noise, None, 20, 235, cv2.NORM_MINMAX)


def object_before_a_background(rng, motion, size=(320, 568), box=(40, 60)):
    """Draw two frames; return the second's mask, and both motions (x, y).

    The motions are the object's and the camera's.
    """
    (height, width), (rows, columns) = size, box
    background, body = texture(rng, *size), texture(rng, *box)
    camera, angle = rng.uniform(-2, 2, 2), rng.uniform(0, 2 * np.pi)
    moves = camera + motion * np.array([np.cos(angle), np.sin(angle)])
    y, x = rng.integers(20, height - rows - 20), rng.integers(20, width - columns - 20)

    def moved(image, by):
        shift = np.float32([[1, 0, by[0]], [0, 1, by[1]]])
        flags = dict(flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return cv2.warpAffine(image, shift, (width, height), **flags)

    layer, cover = np.zeros((*size, 3)), np.zeros(size)
    layer[y : y + rows, x : x + columns], cover[y : y + rows, x : x + columns] = body, 1
    frames = []
    for of_camera, of_object in ((0 * camera, 0 * moves), (camera, moves)):
        alpha = np.clip(moved(cover, of_object), 0, 1)
        mixed = moved(layer, of_object) * alpha[..., None]
        mixed += moved(background, of_camera) * (1 - alpha[..., None])
        noisy = np.clip(mixed + rng.normal(0, 2, mixed.shape), 0, 255).astype(np.uint8)
        frames.append(noisy)
    return frames, alpha, moves


@pytest.mark.parametrize("size", [(144, 256), (72, 128)])
def test_flow_of_small_objects_against_their_known_motion(size):
    """It lies on the second frame's pixels, in pixels of the stored size."""
    rng, errors = np.random.default_rng(0), []
    scale = size[0] / 320
    for motion in (1.0, 3.0, 8.0) * 4:
        frames, alpha, moves = object_before_a_background(rng, motion)
        flow = between("dis", *frames, size)
        inside = resize_frame(alpha, *size) > 0.5
        error = flow[inside].mean(axis=0) - moves * scale
        errors.append(np.linalg.norm(error) / (motion * scale))
    assert np.median(errors) < 0.15


@pytest.mark.parametrize(
    "native, limits, stored",
    [
        ((320, 568), (256, 256), (144, 256)),
        ((320, 240), (256, 256), (256, 192)),
        ((320, 568), (128, 512), (128, 227)),
        ((1, 1000), (64, 64), (1, 64)),
    ],
)
def test_fit_keeps_the_aspect_and_fills_the_limits(native, limits, stored):
    assert fitted_size(*native, *limits) == stored


def test_shrinking_averages_and_growing_interpolates():
    board = np.indices((8, 8)).sum(axis=0).astype(np.uint8) % 2 * 200
    assert (resize_frame(board, 4, 4) == 100).all()
    assert resize_frame(np.dstack([board] * 3), 16, 12).shape == (16, 12, 3)
    assert resize_frame(board, 8, 8) is board
