"""Compute the size of stored frames, and resize images to it."""

from __future__ import annotations

import cv2
import numpy as np


def fitted_size(
    height: int, width: int, max_height: int, max_width: int
) -> tuple[int, int]:
    """Return the largest (height, width) within limits that keeps the aspect ratio.

    Small frames are enlarged, as in the authors' code, which scales the longest side
    *to* 256.
    """
    scale = min(max_height / height, max_width / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def resize_frame(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a frame [H, W, C] or [H, W]: shrink by area, or enlarge bilinearly."""
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height * width < frame.shape[0] * frame.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, (width, height), interpolation=method)
