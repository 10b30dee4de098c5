"""Optical flow by OpenCV.

Flow is the motion (u, v) from the previous frame to the current one, u to the right and
v down, in pixels. Unlike in the authors' code, a pixel is one of the current frame,
which the masks belong to. So flow is computed from the current frame to the previous
one and negated.

The authors used DualTV-L1 on frames of the video's size, which requires
opencv-contrib-python. The default here is DIS (Kroeger et al., ECCV 2016). It is 100
times as fast, and more accurate on large motion.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.preparation.resizing import resize_frame

METHODS = ("dis", "tvl1")
WORKING_PIXELS = 320 * 192
"""Number of pixels of the frames that flow is computed on, unless a video has fewer.

With more pixels, flow is more exact, and the smallest network becomes slower by more
than a fifth (docs/experiments.md, flow).
"""
_LEAST_SIDE = 16  # pixels; the methods need as many for their image pyramids


class Flow:
    """Computes optical flow between consecutive frames of a video, by OpenCV.

    Args:
      method: 'dis' (DIS, fast) or 'tvl1' (DualTV-L1, the authors').

    Raises:
      InputError: the method is TV-L1, and opencv-contrib-python is not installed.
    """

    def __init__(self, method: str = "dis") -> None:
        if method == "tvl1" and not hasattr(cv2, "optflow"):
            raise InputError(
                "'tvl1': install opencv-contrib-python, not opencv-python; use 'dis'"
            )
        if method == "dis":
            dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            # The presets stop at half or a quarter of the resolution; the finest scale
            # is needed for small objects. Sparser patches and less smoothing save the
            # time that it takes, and do not make the flow worse.
            dis.setFinestScale(0)
            dis.setPatchStride(5)
            dis.setVariationalRefinementIterations(1)
            self._calculate: Callable = dis.calc
        else:
            optflow = cv2.optflow  # type: ignore[attr-defined]
            self._calculate = optflow.DualTVL1OpticalFlow_create().calc

    def __call__(
        self, previous: np.ndarray, current: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        """Compute how far each pixel of a frame has moved since the previous frame.

        Args:
          previous: the previous frame, uint8 [rows, columns], as `grey` returns it.
          current: the current frame, likewise.
          size: (height, width) of the stored frames, to which the flow is resized.

        Returns:
          float32 [height, width, 2], (u, v): u to the right and v down, in pixels of
          `size`.
        """
        flow = -self._calculate(current, previous, None)
        rows, columns = current.shape
        height, width = size
        flow *= np.array([width / columns, height / rows], np.float32)
        return resize_frame(flow, height, width)


def grey(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a grey image of a frame, on which flow is computed.

    It has about `WORKING_PIXELS` pixels, and its sides are at least as long as those of
    the stored frame.

    Args:
      frame: the frame at the size of the video, RGB uint8 [H, W, 3].
      size: (height, width) of the stored frames, pixels.

    Returns:
      uint8 [rows, columns].
    """
    height, width = frame.shape[:2]
    scale = min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    rows = max(round(height * scale), size[0], _LEAST_SIDE)
    columns = max(round(width * scale), size[1], _LEAST_SIDE)
    return resize_frame(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), rows, columns)
