"""How well the flow of the records explains the frames: their photometric gain.

A frame that is warped by its flow should look like the next one. Of flow that helps, the warped
frame's error is below that of the frame left as it is; of flow that points the other way, has its
components exchanged or is scaled wrongly, it is above.
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
    """Mean absolute grey error of the previous frame against the current one, in levels of 255.

    Args:
      previous, current: RGB uint8 [H, W, 3], H and W at least 2.
      flow: float32 [H, W, 2], (u, v) in pixels, from the previous frame to the current one; what
        is measured is what a record keeps of it, after quantisation and before the JPEG.

    Returns:
      (error without warping, error of the previous frame warped by the flow), two floats.
    """
    previous, current = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (previous, current))
    warped = _warp(previous, *records.quantise(flow)).numpy()
    # By NumPy: a sum of TensorFlow depends on the number of its threads in the last digits.
    return tuple(
        float(np.abs(frame - current.astype(np.float32)).mean(dtype=np.float64))
        for frame in (previous, warped)
    )


# Any size by one trace, for videos differ; a new trace takes longer than a hundred frames.
@tf.function(
    input_signature=[
        tf.TensorSpec([None, None], tf.uint8),
        tf.TensorSpec([None, None], tf.uint8),
        tf.TensorSpec([], tf.float32),
    ]
)
def _warp(grey, pixels, scale):
    """The frame [H, W] moved along `records.quantise`d flow: float32 [H, W]."""
    flow = records.dequantise(pixels[None], scale[None])
    grey = tf.cast(grey[None, ..., None], tf.float32)
    # dense_image_warp reads image[p - flow(p)], and its flow is (v, u).
    return addons.dense_image_warp(grey, flow[..., ::-1])[0, ..., 0]
