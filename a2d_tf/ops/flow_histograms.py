"""Histograms of optical flow: which way things move in each cell of a frame, how fast.

They are of the flow itself (HOF: Dalal, Triggs and Schmid, "Human Detection Using
Oriented Histograms of Flow and Appearance", ECCV 2006) and of the spatial gradients of
its two components (MBH, motion boundaries: there, and Wang et al., "Dense Trajectories
and Motion Boundary Descriptors for Action Recognition", IJCV 2013).

The camera's share of the flow is its median along the frame's border. So no box is
needed, and the histograms are a map to pool like any other.

`graph_flow_histograms.py` computes the same in a graph.
"""

from __future__ import annotations

import cv2
import numpy as np

CELL = 8
"""Pixels of the motion frame along the side of a cell: the stride of the map."""
DIRECTIONS = 8
CHANNELS = 3 * (DIRECTIONS + 1)
"""Of a cell: three histograms, each of all directions and of the whole."""
BORDER = 8
"""The border is this part of the frame's height, or of its width: an eighth."""
LEAST_COSINE = float(np.cos(2 * np.pi / DIRECTIONS))
"""The cosine from which a vector counts in a direction: that of 45 degrees."""


def flow_histograms(flow: np.ndarray) -> np.ndarray:
    """Compute the histograms of a flow, three in each cell.

    The flow is taken in percent of the frame's height, and its gradients in percent of
    the height from one cell to the next. Divided by the height of a box, as a share of
    the frame's, both are relative to the box, whatever the size of the frame.

    Args:
      flow: float32 [h, w, 2], (u, v) in pixels of the motion frame.

    Returns:
      float32 [h / CELL, w / CELL, CHANNELS]: the histograms of the flow, of u's
      gradient, and of v's. Each has the mean magnitude of the vectors in DIRECTIONS
      directions, the first to the right and the others clockwise, and in all.
    """
    percent = np.float32(100 / len(flow))
    u, v = cv2.split((flow - _of_camera(flow)) * percent)
    histograms = [_histogram(u, v)]
    for component in (u, v):
        down, right = np.gradient(component * np.float32(CELL))
        histograms.append(_histogram(right, down))
    return np.concatenate(histograms, axis=2)


def _of_camera(flow: np.ndarray) -> np.ndarray:
    """Return the median flow of the frame's upper, left and right eighth, float32 [2].

    The lower one is left out: actors stand there.
    """
    rows = flow.shape[0] // BORDER
    columns = flow.shape[1] // BORDER
    sides = (flow[:rows], flow[:, :columns], flow[:, -columns:])
    border = np.concatenate([side.reshape(-1, 2) for side in sides])
    return np.median(border, axis=0)


def _histogram(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the histogram of the vectors in each cell, [rows, columns, 9].

    A vector counts in full in its direction and less in those beside it, down to
    nothing at 45 degrees: so no vector jumps from one direction to the next.
    """
    magnitude = cv2.magnitude(x, y)
    channels = []
    for angle in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
        along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
        beyond = np.maximum(along - LEAST_COSINE * magnitude, 0)
        channels.append(_means(beyond) / (1 - LEAST_COSINE))
    channels.append(_means(magnitude))
    return np.stack(channels, axis=2)


def _means(channel: np.ndarray) -> np.ndarray:
    """Return the mean of a channel [h, w] in each cell."""
    height, width = channel.shape
    size = (width // CELL, height // CELL)
    return cv2.resize(channel, size, interpolation=cv2.INTER_AREA)
