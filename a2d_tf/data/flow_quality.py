"""Photometric error of the records' flow, to detect flow of wrong direction, order or scale.

A frame warped by correct flow is closer to the next frame than the unwarped one; by flow of wrong
direction, scale or order of components, it is farther from it.
"""

from __future__ import annotations

import cv2
import numpy as np
import tensorflow as tf

from a2d_tf.core import addons
from a2d_tf.data import records


def photometric_errors(
    previous: np.ndarray, current: np.ndarray, flow: np.ndarray
) -> tuple[float, float]:
    """Return the mean absolute grey error between two frames, in levels of 255.

    Args:
      previous, current: RGB uint8 [H, W, 3], H and W at least 2.
      flow: float32 [H, W, 2], (u, v) in pixels, from the previous frame to the current one; it is
        quantised first, as in a record.

    Returns:
      (error of the previous frame, error of the previous frame warped by the flow).
    """
    previous, current = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (previous, current))
    warped = _warp(previous, *records.quantise(flow)).numpy()
    # By NumPy, because TensorFlow's sums depend on the number of threads.
    still, moved = (
        float(np.abs(frame - current.astype(np.float32)).mean(dtype=np.float64))
        for frame in (previous, warped)
    )
    return still, moved


# One trace for all sizes; a new trace takes longer than a hundred frames.
@tf.function(
    input_signature=[
        tf.TensorSpec([None, None], tf.uint8),
        tf.TensorSpec([None, None], tf.uint8),
        tf.TensorSpec([], tf.float32),
    ]
)
def _warp(grey, pixels, scale):
    """Warp a frame [H, W] by flow as of `records.quantise`: float32 [H, W]."""
    flow = records.dequantise(pixels[None], scale[None])
    grey = tf.cast(grey[None, ..., None], tf.float32)
    # dense_image_warp reads image[p - flow(p)], and its flow is (v, u).
    return addons.dense_image_warp(grey, flow[..., ::-1])[0, ..., 0]
