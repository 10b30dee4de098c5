"""Histograms of optical flow: which way things move in each cell of a frame, how fast.

They are of the flow itself (HOF: Dalal, Triggs and Schmid, "Human Detection Using
Oriented Histograms of Flow and Appearance", ECCV 2006) and of the spatial gradients of
its two components (MBH, motion boundaries: there, and Wang et al., "Dense Trajectories
and Motion Boundary Descriptors for Action Recognition", IJCV 2013).

The camera's share of the flow is its median along the frame's border. So no box is
needed, and the histograms are a map to pool like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

CELL = 8
"""Pixels of the motion frame along the side of a cell: the stride of the map."""
DIRECTIONS = 8
CHANNELS = 3 * (DIRECTIONS + 1)
_BORDER = 8  # the border is an eighth of the frame's height, or of its width
_LEAST_COSINE = float(np.cos(2 * np.pi / DIRECTIONS))  # of a vector in a direction


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


def _of_camera(flow):
    """Return the median flow of the frame's upper, left and right eighth, float32 [2].

    The lower one is left out: actors stand there.
    """
    rows = flow.shape[0] // _BORDER
    columns = flow.shape[1] // _BORDER
    sides = (flow[:rows], flow[:, :columns], flow[:, -columns:])
    border = np.concatenate([side.reshape(-1, 2) for side in sides])
    return np.median(border, axis=0)


def _histogram(x, y):
    """Return the histogram of the vectors in each cell, [rows, columns, 9].

    A vector counts in full in its direction and less in those beside it, down to
    nothing at 45 degrees: so no vector jumps from one direction to the next.
    """
    magnitude = cv2.magnitude(x, y)
    channels = []
    for angle in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
        along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
        beyond = np.maximum(along - _LEAST_COSINE * magnitude, 0)
        channels.append(_means(beyond) / (1 - _LEAST_COSINE))
    channels.append(_means(magnitude))
    return np.stack(channels, axis=2)


def _means(channel):
    """Return the mean of a channel [h, w] in each cell."""
    height, width = channel.shape
    size = (width // CELL, height // CELL)
    return cv2.resize(channel, size, interpolation=cv2.INTER_AREA)


def flow_histograms_in_graph(flow: tf.Tensor) -> tf.Tensor:
    """Compute the histograms of flows by TensorFlow, for a SavedModel.

    Args:
      flow: float32 [N, h, w, 2], see `flow_histograms`.

    Returns:
      float32 [N, h / CELL, w / CELL, CHANNELS].
    """
    import tensorflow as tf  # late: conversion does without

    percent = 100 / tf.cast(tf.shape(flow)[1], tf.float32)
    motion = (flow - _of_camera_in_graph(flow)[:, None, None]) * percent
    channels = _histogram_channels(motion[..., 0], motion[..., 1])
    for i in range(2):
        component = motion[..., i] * CELL
        down = _slope(component)
        right = tf.transpose(_slope(tf.transpose(component, [0, 2, 1])), [0, 2, 1])
        channels += _histogram_channels(right, down)
    return tf.nn.avg_pool2d(tf.stack(channels, axis=3), CELL, CELL, "VALID")


def _of_camera_in_graph(flow):
    """Compute `_of_camera` of flows [N, ..., 2]: [N, 2]."""
    import tensorflow as tf

    rows = tf.shape(flow)[1] // _BORDER
    columns = tf.shape(flow)[2] // _BORDER
    sides = (flow[:, :rows], flow[:, :, :columns], flow[:, :, -columns:])
    count = tf.shape(flow)[0]
    vectors = []
    for side in sides:
        pixels = tf.shape(side)[1] * tf.shape(side)[2]
        vectors.append(tf.reshape(side, [count, pixels, 2]))
    border = tf.sort(tf.concat(vectors, axis=1), axis=1)
    number = tf.shape(border)[1]
    return (border[:, (number - 1) // 2] + border[:, number // 2]) / 2


def _histogram_channels(x, y):
    """Return the channels of `_histogram` before they are averaged, [N, h, w] each."""
    import tensorflow as tf

    magnitude = tf.sqrt(x**2 + y**2)
    channels = []
    for angle in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
        along = float(np.cos(angle)) * x + float(np.sin(angle)) * y
        beyond = tf.nn.relu(along - _LEAST_COSINE * magnitude)
        channels.append(beyond / (1 - _LEAST_COSINE))
    return [*channels, magnitude]


def _slope(values):
    """Compute `np.gradient` along axis 1 of [N, h, w]."""
    import tensorflow as tf

    inner = (values[:, 2:] - values[:, :-2]) / 2
    first = values[:, 1:2] - values[:, :1]
    last = values[:, -1:] - values[:, -2:-1]
    return tf.concat([first, inner, last], axis=1)
