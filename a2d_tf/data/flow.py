"""Optical flow by OpenCV.

Flow is (u, v), u to the right and v down, in pixels: the motion from the previous frame
to the current one, as in the authors' code, but on the pixels of the current frame,
where its masks are. It is computed back in time and negated. The authors used DualTV-L1
on native frames, which requires opencv-contrib-python. The default here is DIS (Kroeger
et al., ECCV 2016), 100 times as fast and more accurate on large motion.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.resizing import resize_frame

METHODS = ("dis", "tvl1")
WORKING_PIXELS = 320 * 192
"""Pixels of the frames that flow is computed on, where the video has them. More are
more exact, and slow the smallest network down by more than a fifth
(docs/experiments.md, flow).
"""
_LEAST_SIDE = 16  # of which the methods can make a pyramid


class Flow:
    """Computes flow between frames of a video, both as of `grey`.

    Args:
      method: one of METHODS.

    Raises:
      InputError: TV-L1 without opencv-contrib-python.
    """

    def __init__(self, method: str = "dis") -> None:
        if method == "tvl1" and not hasattr(cv2, "optflow"):
            raise InputError(
                "'tvl1': install opencv-contrib-python, not opencv-python; use 'dis'"
            )
        if method == "dis":
            dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            # To the finest scale, for small objects; the presets stop at half or
            # quarter of it. Sparser patches and less smoothing pay for it, and do not
            # hurt.
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
        """Compute the flow between two frames.

        Args:
          previous, current: as of `grey`.
          size: (height, width) of the stored frames.

        Returns:
          float32 [*size, 2], (u, v) in pixels of that size.
        """
        flow = -self._calculate(current, previous, None)
        rows, columns = current.shape
        height, width = size
        flow *= np.array([width / columns, height / rows], np.float32)
        return resize_frame(flow, height, width)


def grey(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a frame as flow is computed on it, grey uint8 [rows, columns].

    It has about `WORKING_PIXELS` pixels, but no side is smaller than that of the stored
    frame.

    Args:
      frame: native, RGB uint8 [H, W, 3].
      size: (height, width) of the stored frames.
    """
    height, width = frame.shape[:2]
    scale = min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    rows = max(round(height * scale), size[0], _LEAST_SIDE)
    columns = max(round(width * scale), size[1], _LEAST_SIDE)
    return resize_frame(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), rows, columns)
