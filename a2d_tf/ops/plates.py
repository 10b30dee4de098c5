"""Texts on plates (filled rectangles) beside boxes, which do not cover each other."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import cv2
import numpy as np

_LUMA = (0.299, 0.587, 0.114)  # share of red, green and blue in the brightness, BT.601


class Side(enum.Enum):
    """Position of a text relative to a box, along one axis.

    BEFORE and BEHIND are outside the box: above and below it, or left and right of it.
    AT_START and AT_END are inside, at its upper or left, or its lower or right edge.
    """

    BEFORE = enum.auto()
    AT_START = enum.auto()
    AT_END = enum.auto()
    BEHIND = enum.auto()

    def start(self, box_start: int, box_end: int, length: int) -> int:
        """Return where a text starts along the axis, in pixels of the picture.

        Args:
          box_start: where the box starts (y1 or x1), pixels.
          box_end: where the box ends (y2 or x2), pixels.
          length: height or width of the text, pixels.
        """
        if self is Side.BEFORE:
            return box_start - length
        if self is Side.AT_START:
            return box_start
        if self is Side.AT_END:
            return box_end - length
        return box_end


# Positions of a text relative to a box, vertical and horizontal, the best one first.
# CORNERS begins with the upper ones, because players draw their controls at the lower
# edge of a video.
CORNERS = (
    (Side.AT_START, Side.AT_END),
    (Side.AT_START, Side.AT_START),
    (Side.AT_END, Side.AT_END),
    (Side.AT_END, Side.AT_START),
)
AROUND = (
    (Side.BEFORE, Side.AT_START),
    (Side.BEHIND, Side.AT_START),
    (Side.AT_START, Side.BEHIND),
    (Side.AT_START, Side.BEFORE),
    (Side.AT_START, Side.AT_START),
    (Side.AT_END, Side.AT_START),
)
_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# What covers a pixel of the picture.
_BY_BOX = 1
_BY_PLATE = 2


class Plates:
    """Writes texts on plates (filled rectangles) into a picture, without overlap.

    Args:
      image: RGB uint8 [H, W, 3], changed in place.
      boxes: boxes (y1, x1, y2, x2) in pixels that a text should not cover.
    """

    def __init__(self, image: np.ndarray, boxes: list[list[int]]) -> None:
        self._image = image
        self._covered = np.zeros(image.shape[:2], np.uint8)
        for y1, x1, y2, x2 in boxes:
            self._covered[y1:y2, x1:x2] = _BY_BOX

    def write(
        self,
        text: str,
        box: Sequence[int],
        places: Sequence[tuple[Side, Side]],
        colour: Sequence[int],
    ) -> None:
        """Write a text at the first free position beside a box.

        If no position is free of boxes, the text covers a box. If it would cover
        another text at every position, it is left out. A text that is wider than the
        picture is made smaller.

        Args:
          text: the text.
          box: the box (y1, x1, y2, x2) in pixels.
          places: (vertical, horizontal) positions relative to the box, the best one
            first, such as AROUND and CORNERS.
          colour: RGB of the plate, 0 to 255; the letters are black or white.
        """
        height, width = self._image.shape[:2]
        scale = max(0.42, height / 1000)
        (text_width, _), _ = cv2.getTextSize(text, _FONT, scale, _thickness(scale))
        scale *= min(1, (width - 2) / text_width)
        thickness = _thickness(scale)
        (text_width, ascent), descent = cv2.getTextSize(text, _FONT, scale, thickness)
        plate_height = ascent + descent + 2
        plate_width = text_width + 2

        corner = None
        least_cover = _BY_PLATE
        for down, across in places:
            y = down.start(box[0], box[2], plate_height)
            y = max(0, min(y, height - plate_height))
            x = across.start(box[1], box[3], plate_width)
            x = max(0, min(x, width - plate_width))
            cover = self._covered[y : y + plate_height, x : x + plate_width].max()
            if cover < least_cover:
                least_cover = cover
                corner = (y, x)
        if corner is None:
            return

        y1, x1 = corner
        y2 = y1 + plate_height
        x2 = x1 + plate_width
        self._covered[y1:y2, x1:x2] = _BY_PLATE
        # OpenCV's rectangle includes its lower right corner.
        cv2.rectangle(self._image, (x1, y1), (x2 - 1, y2 - 1), colour, -1)
        ink = _WHITE
        if np.dot(colour, _LUMA) > 128:
            ink = _BLACK
        cv2.putText(
            self._image,
            text,
            (x1 + 1, y2 - descent - 1),
            _FONT,
            scale,
            ink,
            thickness,
            cv2.LINE_AA,
        )


def _thickness(scale: float) -> int:
    """Return the width of the letters' lines in pixels."""
    return max(1, round(2 * scale))
