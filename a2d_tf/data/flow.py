"""Optical flow by OpenCV, computed and quantised; and the size at which frames are
stored.

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

METHODS = ("dis", "tvl1")
# pixels; faster motion is clipped, so that outliers do not coarsen the frame
MAX_FLOW = 64.0
WORKING_PIXELS = 320 * 192
"""Pixels of the frames that flow is computed on, where the video has them. More are
more exact, and slow the smallest network down by more than a fifth
(docs/experiments.md, flow).
"""
_LEAST_SIDE = 16  # of which the methods can make a pyramid


class Flow:
    """Compute flow, on frames that are larger than the stored ones where the video is.

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
            self._calculate = cv2.optflow.DualTVL1OpticalFlow_create().calc  # type: ignore[attr-defined]

    def __call__(
        self, previous: np.ndarray, current: np.ndarray, size: tuple[int, int]
    ) -> np.ndarray:
        """Compute the flow between two frames, both as of `grey`.

        Args:
          size: (height, width) of the stored frames.

        Returns:
          float32 [*size, 2] in pixels of that size.
        """
        flow = -self._calculate(current, previous, None)
        rows, columns = current.shape
        flow *= np.array([size[1] / columns, size[0] / rows], np.float32)
        return resize_frame(flow, *size)


def grey(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a frame as flow is computed on it: grey uint8, of about `WORKING_PIXELS`
    pixels.

    Args:
      frame: native, RGB uint8 [H, W, 3].
      size: (height, width) of the stored frames; no side is below theirs.
    """
    sides = frame.shape[:2]
    scale = min(1.0, (WORKING_PIXELS / (sides[0] * sides[1])) ** 0.5)
    both = zip(sides, size)
    rows, columns = (
        max(round(side * scale), least, _LEAST_SIDE) for side, least in both
    )
    return resize_frame(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), rows, columns)


def quantise(flow: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Quantise flow float32 [h, w, 2] to 8 bits, as records hold it.

    Returns:
      (uint8 [2 * h, w], u over v; the range in pixels): pixel = round(127 + 127 * value
      / range).
    """
    largest = cv2.norm(flow, cv2.NORM_INF)
    scale = np.float32(min(largest, MAX_FLOW))
    if largest > MAX_FLOW:
        flow = np.clip(flow, -MAX_FLOW, MAX_FLOW)
    # One pass, seven times as fast as in NumPy. The sum is never negative, and the
    # quotient finite.
    pixels = cv2.convertScaleAbs(
        flow, alpha=float(127 / scale) if scale > 1e-30 else 0.0, beta=127
    )
    return np.concatenate(cv2.split(pixels)), scale


def fit(height: int, width: int, max_height: int, max_width: int) -> tuple[int, int]:
    """Return the largest (height, width) within the limits that keeps the aspect.

    Small frames are enlarged, as in the authors' code, which scales the longest side
    *to* 256.
    """
    scale = min(max_height / height, max_width / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def resize_frame(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a frame [H, W, C] or [H, W], by area to shrink it, else bilinearly."""
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height * width < frame.shape[0] * frame.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, (width, height), interpolation=method)
