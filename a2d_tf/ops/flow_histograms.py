"""Histograms of optical flow: direction and speed of motion in each cell of a frame.

A cell has a histogram of the flow itself (HOF: Dalal, Triggs and Schmid, "Human
Detection Using Oriented Histograms of Flow and Appearance", ECCV 2006). It also has
histograms of the spatial gradients of both components (MBH, motion boundaries: the same
paper, and Wang et al., "Dense Trajectories and Motion Boundary Descriptors for Action
Recognition", IJCV 2013).

The camera's motion is estimated as the median flow along the frame's border and
subtracted. This needs no boxes, so the histograms can be pooled like any feature map.

`graph_flow_histograms.py` computes the same in a graph.
"""

from __future__ import annotations

import cv2
import numpy as np

CELL = 8
"""Side of a cell in pixels of the motion frame; the stride of the map."""
DIRECTIONS = 8
"""Number of directions that a histogram distinguishes, 45 degrees apart."""
CHANNELS = 3 * (DIRECTIONS + 1)
"""Values of a cell: three histograms of DIRECTIONS values and their total each."""
BORDER = 8
"""The border's width is the frame's height or width divided by this number."""
LEAST_COSINE = float(np.cos(2 * np.pi / DIRECTIONS))
"""Cosine of 45 degrees; a vector counts in directions that are closer than that."""


def flow_histograms(flow: np.ndarray) -> np.ndarray:
    """Compute histograms of a flow field and of its spatial gradients in each cell.

    A cell is a square of CELL x CELL pixels. The median flow along the frame's border
    is subtracted first, as the camera's motion. The unit of flow is a percent of the
    frame's height. The unit of gradients is a percent of the frame's height per cell.
    A caller that divides by a box's height, as a share of the frame's height, gets
    values that do not depend on the frame's size.

    Args:
      flow: the optical flow of a frame, float32 [h, w, 2], (u, v) in pixels of the
        motion frame (see `motion_maps`), whose sides are multiples of CELL.

    Returns:
      float32 [h / CELL, w / CELL, CHANNELS]: the histograms of the flow, of the
      gradient of u, and of the gradient of v. A histogram has the mean magnitude of the
      vectors in each of DIRECTIONS directions, clockwise from the right, and then the
      mean magnitude of all vectors.
    """
    percent = np.float32(100 / len(flow))
    u, v = cv2.split((flow - _of_camera(flow)) * percent)
    histograms = [_histogram(u, v)]
    for component in (u, v):
        down, right = np.gradient(component * np.float32(CELL))
        histograms.append(_histogram(right, down))
    return np.concatenate(histograms, axis=2)


def _of_camera(flow: np.ndarray) -> np.ndarray:
    """Return the median flow along the upper, left and right border, float32 [2].

    The lower border does not count, because actors stand there.
    """
    rows = flow.shape[0] // BORDER
    columns = flow.shape[1] // BORDER
    sides = (flow[:rows], flow[:, :columns], flow[:, -columns:])
    border = np.concatenate([side.reshape(-1, 2) for side in sides])
    return np.median(border, axis=0)


def _histogram(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the histogram of the vectors (x, y) in each cell, [rows, columns, 9].

    A vector's weight in a direction falls from 1 at no angle between them to 0 at 45
    degrees, so that the histogram is a continuous function of the vector.
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
