"""The photometric gain of stored flow, against a warp by hand."""

import cv2
import numpy as np
import pytest

from a2d_tf.data import flow_quality


def pair(u, v, size=(40, 60)):
    """Two random colour frames, the second the first moved right by u and down by v."""
    large = np.random.default_rng(0).integers(0, 256, (size[0] + 40, size[1] + 40, 3), np.uint8)
    first = large[20:-20, 20:-20]
    return first, large[20 - v : size[0] + 20 - v, 20 - u : size[1] + 20 - u]


def constant(u, v, size=(40, 60)):
    return np.broadcast_to(np.float32([u, v]), (*size, 2)).copy()


def by_hand(previous, current, u, v):
    """The error of the previous frame moved by whole pixels, its border repeated."""
    first, second = (cv2.cvtColor(f, cv2.COLOR_RGB2GRAY).astype(float) for f in (previous, current))
    rows = np.clip(np.arange(first.shape[0]) - v, 0, first.shape[0] - 1)
    columns = np.clip(np.arange(first.shape[1]) - u, 0, first.shape[1] - 1)
    return np.abs(first[rows][:, columns] - second).mean()


@pytest.mark.parametrize("u, v", [(0, 0), (3, 0), (0, 2), (-4, 4)])
def test_true_flow_leaves_only_the_border(u, v):
    frames = pair(u, v)
    still, warped = flow_quality.photometric_errors(*frames, constant(u, v))
    assert still == pytest.approx(by_hand(*frames, 0, 0), rel=1e-6)
    assert warped == pytest.approx(by_hand(*frames, u, v), rel=1e-4, abs=1e-4)
    assert warped <= 0.3 * still


@pytest.mark.parametrize("u, v", [(-3, -1), (1, 3), (3, -1)])
def test_flow_with_a_wrong_sign_or_order_explains_nothing(u, v):
    still, warped = flow_quality.photometric_errors(*pair(3, 1), constant(u, v))
    assert warped > 0.9 * still


def test_what_is_measured_is_what_the_record_keeps():
    """Motion beyond 64 pixels is cut, and small motion beside large is coarse."""
    frames = pair(0, 0, (40, 120))
    flow = constant(100, 0, (40, 120))
    assert flow_quality.photometric_errors(*frames, flow)[1] == pytest.approx(
        by_hand(*frames, 64, 0), rel=1e-4
    )
    flow = constant(0.2, 0, (40, 120))  # below half a quantum of 64 / 127
    flow[-1, -1] = 64, 0
    still, warped = flow_quality.photometric_errors(*frames, flow)
    assert still == 0 and 0 < warped * 40 * 120 < 256  # of one pixel alone


def test_frames_of_any_size_share_a_trace():
    for size in ((2, 2), (40, 60), (17, 31)):
        flow_quality.photometric_errors(*pair(1, 0, size), constant(1, 0, size))
    assert flow_quality._warp.experimental_get_tracing_count() == 1
