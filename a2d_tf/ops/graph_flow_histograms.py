"""Histograms of optical flow in a TensorFlow graph, equal to `flow_histograms`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from a2d_tf.ops.flow_histograms import BORDER, CELL, DIRECTIONS, LEAST_COSINE


def flow_histograms_in_graph(flow: tf.Tensor) -> tf.Tensor:
    """Compute histograms of flow fields and of their spatial gradients in each cell.

    This is `flow_histograms.flow_histograms` for several fields at once, in a graph.

    Args:
      flow: N optical flow fields, float32 [N, h, w, 2], (u, v) in pixels of the motion
        frame.

    Returns:
      float32 [N, h / CELL, w / CELL, CHANNELS]: in each cell the histograms of the
      flow, of the gradient of u, and of the gradient of v; units as there.
    """
    percent = 100 / tf.cast(tf.shape(flow)[1], tf.float32)
    motion = (flow - _of_camera(flow)[:, None, None]) * percent
    channels = _histogram_channels(motion[..., 0], motion[..., 1])
    for i in range(2):
        component = motion[..., i] * CELL
        down = _slope(component)
        right = tf.transpose(_slope(tf.transpose(component, [0, 2, 1])), [0, 2, 1])
        channels += _histogram_channels(right, down)
    return tf.nn.avg_pool2d(tf.stack(channels, axis=3), CELL, CELL, "VALID")


def _of_camera(flow: tf.Tensor) -> tf.Tensor:
    """Return the median flow [N, 2] along the borders of flow fields [N, ..., 2]."""
    rows = tf.shape(flow)[1] // BORDER
    columns = tf.shape(flow)[2] // BORDER
    sides = (flow[:, :rows], flow[:, :, :columns], flow[:, :, -columns:])
    count = tf.shape(flow)[0]
    vectors = []
    for side in sides:
        pixels = tf.shape(side)[1] * tf.shape(side)[2]
        vectors.append(tf.reshape(side, [count, pixels, 2]))
    border = tf.sort(tf.concat(vectors, axis=1), axis=1)
    number = tf.shape(border)[1]
    return (border[:, (number - 1) // 2] + border[:, number // 2]) / 2


def _histogram_channels(x: tf.Tensor, y: tf.Tensor) -> list[tf.Tensor]:
    """Return each pixel's values in a histogram, [N, h, w] for each channel."""
    magnitude = tf.sqrt(x**2 + y**2)
    channels = []
    for angle in np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS):
        along = float(np.cos(angle)) * x + float(np.sin(angle)) * y
        beyond = tf.nn.relu(along - LEAST_COSINE * magnitude)
        channels.append(beyond / (1 - LEAST_COSINE))
    return [*channels, magnitude]


def _slope(values: tf.Tensor) -> tf.Tensor:
    """Compute `np.gradient` along axis 1 of [N, h, w]."""
    inner = (values[:, 2:] - values[:, :-2]) / 2
    first = values[:, 1:2] - values[:, :1]
    last = values[:, -1:] - values[:, -2:-1]
    return tf.concat([first, inner, last], axis=1)
