"""Compute the size of stored frames, and resize images to it."""

from __future__ import annotations

import cv2
import numpy as np


def fitted_size(
    height: int, width: int, max_height: int, max_width: int
) -> tuple[int, int]:
    """Return the largest size of a frame within limits that keeps its aspect ratio.

    Small frames are enlarged, as in the authors' code, which scales the longest side
    *to* 256.

    Args:
      height, width: size of the frame, pixels.
      max_height, max_width: largest size, pixels.

    Returns:
      (height, width), each at least 1.
    """
    scale = min(max_height / height, max_width / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def resize_frame(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image: shrink it by averaging areas, or enlarge it bilinearly.

    Args:
      frame: [H, W, C] or [H, W]; it is returned itself if it has the new size.
      height, width: the new size, pixels.

    Returns:
      [height, width, C] or [height, width] of the same dtype.
    """
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = height * width < frame.shape[0] * frame.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, (width, height), interpolation=method)
