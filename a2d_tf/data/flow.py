"""Optical flow by OpenCV, and the size at which frames are stored.

Flow is (u, v), u to the right and v down, in pixels, from the previous frame to the current one, as
in the authors' code. They used DualTV-L1, which requires opencv-contrib-python. The default here is
DIS (Kroeger et al., ECCV 2016), 100 times as fast and more accurate on large motion.
"""

from __future__ import annotations

import cv2
import numpy as np

from a2d_tf.core.errors import InputError

METHODS = ("dis", "farneback", "tvl1")
# OpenCV's DIS chooses its pyramid by the columns alone: with so many of them and fewer rows than
# these, a level is smaller than a patch, and DIS reads out of bounds or returns NaN.
_DIS_COLUMNS, _DIS_ROWS = 40, 16


class Flow:
    """Compute flow: (previous, current), RGB uint8 [H, W, 3] each -> float32 [H, W, 2] (u, v).

    Raises:
      InputError: an unknown method, TV-L1 without opencv-contrib-python, or frames too small for
        the method.
    """

    def __init__(self, method: str = "dis") -> None:
        if method not in METHODS:
            raise InputError(f"flow method '{method}' is unknown; choose one of {METHODS}")
        if method == "tvl1" and not hasattr(cv2, "optflow"):
            raise InputError(
                "'tvl1': install opencv-contrib-python in place of opencv-python, or use 'dis'"
            )
        self.method = method
        if method == "dis":
            self._calculate = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc
        elif method == "farneback":
            self._calculate = _farneback
        else:
            self._calculate = cv2.optflow.DualTVL1OpticalFlow_create().calc  # type: ignore[attr-defined]

    def __call__(self, previous: np.ndarray, current: np.ndarray) -> np.ndarray:
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (previous, current)]
        try:
            rows, columns = grey[0].shape
            if self.method == "dis" and rows < _DIS_ROWS and columns >= _DIS_COLUMNS:
                raise cv2.error("too few rows")
            return self._calculate(grey[0], grey[1], None).astype(np.float32, copy=False)
        except cv2.error as error:
            size = f"{current.shape[0]}x{current.shape[1]} pixels"
            raise InputError(
                f"flow method '{self.method}' cannot work on frames of {size}; use 'farneback'"
            ) from error


def _farneback(previous, current, flow):
    return cv2.calcOpticalFlowFarneback(
        previous,
        current,
        flow,
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )


def fit(height: int, width: int, max_height: int, max_width: int) -> tuple[int, int]:
    """Return the largest (height, width) within the limits that keeps the aspect.

    Small frames are enlarged, as in the authors' code, which scales the longest side *to* 256.
    """
    scale = min(max_height / height, max_width / width)
    return (
        min(max(round(height * scale), 1), max_height),
        min(max(round(width * scale), 1), max_width),
    )


def resize_frame(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a frame [H, W, C] or [H, W], by area to shrink it, else bilinearly."""
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height * width < frame.shape[0] * frame.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, (width, height), interpolation=method)
