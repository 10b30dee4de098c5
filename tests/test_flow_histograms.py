"""Flow histograms: literals, and a loop over pixels that shares no code with them."""

import math

import cv2
import numpy as np
import pytest

from a2d_tf.ops.flow_histograms import (
    CELL,
    CHANNELS,
    DIRECTIONS,
    flow_histograms,
)
from a2d_tf.ops.graph_flow_histograms import flow_histograms_in_graph
from a2d_tf.ops.motion_maps import FLOW_HISTOGRAMS


def still(rows=8, columns=8):
    """No motion, of so many cells."""
    return np.zeros((rows * CELL, columns * CELL, 2), np.float32)


def looped(flow):
    """The histograms, pixel by pixel."""
    height, width = flow.shape[:2]
    border = []
    for across in (
        flow[: height // 8],
        flow[:, : width // 8],
        flow[:, -(width // 8) :],
    ):
        border += across.reshape(-1, 2).tolist()
    camera = [float(np.median([vector[i] for vector in border])) for i in (0, 1)]
    percent = [
        100 * (flow[..., i].astype(np.float64) - camera[i]) / height for i in (0, 1)
    ]

    def slope(field, y, x, down, right):
        """Change over one pixel: central, and one-sided at the edges."""
        top, bottom = max(y - down, 0), min(y + down, height - 1)
        start, stop = max(x - right, 0), min(x + right, width - 1)
        change = field[bottom, stop] - field[top, start]
        return change / (bottom - top + stop - start)

    def histogram(vector_at):
        means = np.zeros((height // CELL, width // CELL, DIRECTIONS + 1))
        for y in range(height):
            for x in range(width):
                right, down = vector_at(y, x)
                length = math.hypot(right, down)
                cell = means[y // CELL, x // CELL]
                cell[DIRECTIONS] += length / CELL**2
                for k in range(DIRECTIONS):
                    cosine = math.cos(math.atan2(down, right) - k * math.pi / 4)
                    share = (cosine - math.sqrt(0.5)) / (1 - math.sqrt(0.5))
                    cell[k] += length * max(share, 0) / CELL**2
        return means

    def gradient_of(field):
        return lambda y, x: (
            CELL * slope(field, y, x, 0, 1),
            CELL * slope(field, y, x, 1, 0),
        )

    of_flow = histogram(lambda y, x: (percent[0][y, x], percent[1][y, x]))
    parts = [of_flow, *(histogram(gradient_of(field)) for field in percent)]
    return np.concatenate(parts, axis=2)


def test_they_equal_a_loop_over_pixels():
    random = np.random.default_rng(0)
    flow = random.normal(size=(5 * CELL, 6 * CELL, 2)).astype(np.float32)
    flow = cv2.GaussianBlur(flow, (0, 0), 3) * 20 + np.float32([2, -1])
    histograms = flow_histograms(flow)
    assert histograms.dtype == np.float32
    np.testing.assert_allclose(histograms, looped(flow), rtol=1e-4, atol=1e-4)


def test_their_shape_is_that_of_the_motion_map():
    assert FLOW_HISTOGRAMS.stride == CELL and FLOW_HISTOGRAMS.channels == CHANNELS
    assert flow_histograms(still(20, 28)).shape == (20, 28, CHANNELS)


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_a_moving_cell_is_in_its_direction(direction):
    angle = math.radians(45 * direction)
    flow = still()
    moving = np.s_[3 * CELL : 6 * CELL, 3 * CELL : 6 * CELL]
    # 2 percent of the frame's height
    flow[moving] = 0.02 * len(flow) * np.array([math.cos(angle), math.sin(angle)])
    histograms = flow_histograms(flow)
    expected = np.zeros(DIRECTIONS + 1)
    expected[[direction, DIRECTIONS]] = 2
    np.testing.assert_allclose(histograms[4, 4, : DIRECTIONS + 1], expected, atol=1e-5)
    # Nothing changes within the cell in the middle, and nothing moves elsewhere.
    np.testing.assert_allclose(histograms[4, 4, DIRECTIONS + 1 :], 0, atol=1e-5)
    assert not histograms[1, 1].any()


def test_between_two_directions_a_vector_counts_alike_in_both():
    flow = still()
    moving = np.s_[3 * CELL : 6 * CELL, 3 * CELL : 6 * CELL]
    angle = math.radians(22.5)
    flow[moving] = 0.01 * len(flow) * np.array([math.cos(angle), math.sin(angle)])
    share = (math.cos(angle) - math.sqrt(0.5)) / (1 - math.sqrt(0.5))
    expected = [share, share, 0, 0, 0, 0, 0, 0, 1]
    cell = flow_histograms(flow)[4, 4, : DIRECTIONS + 1]
    np.testing.assert_allclose(cell, expected, atol=1e-5)


def test_boundaries_of_motion_are_gradients():
    flow = still()
    # u falls to the right and v grows downwards, by 1 percent of the height a cell.
    middle = np.s_[3 * CELL : 6 * CELL]
    ramp = np.arange(3 * CELL) * 0.01 * len(flow) / CELL
    flow[middle, middle, 0] = -ramp
    flow[middle, middle, 1] = ramp[:, None]
    of_u, of_v = np.split(flow_histograms(flow)[4, 4, DIRECTIONS + 1 :], 2)
    left, down = 4, 2
    expected = np.zeros((2, DIRECTIONS + 1))
    expected[0, [left, DIRECTIONS]] = 1
    expected[1, [down, DIRECTIONS]] = 1
    np.testing.assert_allclose([of_u, of_v], expected, atol=1e-4)


def test_the_motion_of_the_camera_does_not_count():
    random = np.random.default_rng(1)
    flow = still()
    flow[3 * CELL : 6 * CELL, 3 * CELL : 6 * CELL] = random.normal(size=2)
    # Below, where actors stand, motion is not taken for the camera's.
    flow[-CELL:, CELL:-CELL] = 1
    panned = flow + np.float32([5, -3])
    np.testing.assert_allclose(
        flow_histograms(panned), flow_histograms(flow), atol=1e-3
    )


@pytest.mark.parametrize("rows, columns", [(20, 20), (20, 28)])
def test_the_graph_computes_the_same(rows, columns):
    rng = np.random.default_rng(rows + columns)
    flows = rng.normal(0, 3, (2, rows * CELL, columns * CELL, 2)).astype(np.float32)
    made = flow_histograms_in_graph(flows).numpy()
    for flow, histograms in zip(flows, made):
        expected = flow_histograms(flow)
        np.testing.assert_allclose(histograms, expected, rtol=1e-4, atol=1e-4)
