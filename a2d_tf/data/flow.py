"""Optical flow by OpenCV, computed and quantised; and the size at which frames are stored.

Flow is (u, v), u to the right and v down, in pixels, from the previous frame to the current one, as
in the authors' code. They used DualTV-L1, which requires opencv-contrib-python. The default here is
DIS (Kroeger et al., ECCV 2016), 100 times as fast and more accurate on large motion.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from a2d_tf.core.errors import InputError

METHODS = ("dis", "farneback", "tvl1")
MAX_FLOW = 64.0  # pixels; faster motion is clipped, so that outliers do not coarsen the frame


class Flow:
    """Compute flow: (previous, current), RGB uint8 [H, W, 3] each -> float32 [H, W, 2] (u, v).

    Raises:
      InputError: TV-L1 without opencv-contrib-python, or frames too low for DIS.
    """

    def __init__(self, method: str = "dis") -> None:
        if method == "tvl1" and not hasattr(cv2, "optflow"):
            raise InputError(
                "'tvl1': install opencv-contrib-python in place of opencv-python, or use 'dis'"
            )
        self._is_dis = method == "dis"
        if self._is_dis:
            preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
            self._calculate: Callable = cv2.DISOpticalFlow.create(preset).calc
        elif method == "farneback":
            self._calculate = cv2.FarnebackOpticalFlow.create(
                numLevels=3, winSize=15, numIters=3, polySigma=1.2
            ).calc
        else:
            self._calculate = cv2.optflow.DualTVL1OpticalFlow_create().calc  # type: ignore[attr-defined]

    def __call__(self, previous: np.ndarray, current: np.ndarray) -> np.ndarray:
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (previous, current)]
        rows, columns = grey[0].shape
        # DIS chooses its pyramid by the columns; with fewer rows it reads outside, or returns NaN.
        if self._is_dis and rows < 16 and columns >= 40:
            raise InputError(
                f"'dis' does not support frames of {rows}x{columns} pixels; use larger frames, or "
                "train on records with --flow_method=farneback"
            )
        return self._calculate(grey[0], grey[1], None).astype(np.float32, copy=False)


def quantise(flow: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Quantise flow float32 [h, w, 2] to 8 bits, as records hold it.

    Returns:
      (uint8 [2 * h, w], u over v; the range in pixels): pixel = round(127 + 127 * value / range).
    """
    largest = cv2.norm(flow, cv2.NORM_INF)
    scale = np.float32(min(largest, MAX_FLOW))
    if largest > MAX_FLOW:
        flow = np.clip(flow, -MAX_FLOW, MAX_FLOW)
    # One pass, seven times as fast as in NumPy. The sum is never negative, and the quotient finite.
    pixels = cv2.convertScaleAbs(flow, alpha=float(127 / scale) if scale > 1e-30 else 0.0, beta=127)
    return np.concatenate(cv2.split(pixels)), scale


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
