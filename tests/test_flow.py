"""Flow methods on known motion, and the sizes of frames."""

import cv2
import numpy as np
import pytest

from a2d_tf.core.errors import InputError
from a2d_tf.data.flow import METHODS, Flow, fit, resize_frame


def shifted_pair(u, v, size=(96, 128), margin=24):
    """A smooth texture and the same moved by whole pixels: right by u, down by v."""
    noise = np.random.default_rng(0).uniform(0, 255, (size[0] + 2 * margin, size[1] + 2 * margin))
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    texture = np.repeat(texture[..., None].astype(np.uint8), 3, axis=2)

    def crop(y, x):
        return np.ascontiguousarray(texture[y : y + size[0], x : x + size[1]])

    return crop(margin, margin), crop(margin - v, margin - u)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "tvl1" or hasattr(cv2, "optflow")])
def test_flow_points_from_the_previous_frame_to_the_current_one(method):
    for u, v in ((3, 0), (0, 2), (-4, 1)):
        flow = Flow(method)(*shifted_pair(u, v))
        assert flow.shape == (96, 128, 2) and flow.dtype == np.float32
        inner = flow[16:-16, 16:-16].reshape(-1, 2)
        np.testing.assert_allclose(np.median(inner, axis=0), [u, v], atol=0.2)


def test_flow_does_not_depend_on_the_threads():
    pair, threads = shifted_pair(3, 1), cv2.getNumThreads()
    flows = []
    for count in (1, 2):
        cv2.setNumThreads(count)
        flows.append(Flow("dis")(*pair))
    cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*flows)


@pytest.mark.skipif(hasattr(cv2, "optflow"), reason="this OpenCV has it")
def test_tvl1_needs_the_contributed_modules():
    with pytest.raises(InputError, match="install opencv-contrib-python"):
        Flow("tvl1")


@pytest.mark.parametrize("width", [40, 96, 1024])
def test_low_frames_that_dis_would_read_beyond(width):
    """It would end the process, or give NaN."""
    noise = np.random.default_rng(0).integers(0, 256, (16, width, 3)).astype(np.uint8)
    frames = [np.roll(noise, step, axis=1) for step in (0, 2)]
    for rows in (8, 15):
        with pytest.raises(
            InputError, match=f"'dis' does not support frames of {rows}x{width} pix"
        ):
            Flow("dis")(*(frame[:rows] for frame in frames))
        assert np.isfinite(Flow("farneback")(*(frame[:rows] for frame in frames))).all()
    assert np.isfinite(Flow("dis")(*frames)).all()
    assert np.isfinite(Flow("dis")(*(frame[:12, :39] for frame in frames))).all()


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
    assert fit(*native, *limits) == stored


def test_shrinking_averages_and_growing_interpolates():
    board = np.indices((8, 8)).sum(axis=0).astype(np.uint8) % 2 * 200
    assert (resize_frame(board, 4, 4) == 100).all()
    assert resize_frame(np.dstack([board] * 3), 16, 12).shape == (16, 12, 3)
    assert resize_frame(board, 8, 8) is board
