"""The suggested size of the canvas, the network's input image, by sizes of frames."""

from __future__ import annotations

import math

import numpy as np

_CELL = 32  # of the coarsest map that a canvas must divide into


def canvas_of_records(
    sizes: dict[str, int], most_pixels: float = math.inf
) -> tuple[int, int]:
    """Return the size of the canvas for records whose frames have several sizes.

    Args:
      sizes: {'HEIGHTxWIDTH' in pixels: number of records}, the sizes of the stored
        frames, as `Manifest.sizes` has them.
      most_pixels: about the largest area of the canvas in pixels.

    Returns:
      (height, width) in pixels, multiples of 32.
    """
    height, width = largest_size(sizes)
    return canvas_of_frame(height, width, most_pixels)


def canvas_of_frame(height: int, width: int, most_pixels: float) -> tuple[int, int]:
    """Return the smallest canvas that holds a frame, with sides of multiples of 32.

    Args:
      height: height of the frame in pixels.
      width: width of the frame in pixels.
      most_pixels: about the largest area of the canvas in pixels; a larger canvas is
        shrunk to it and keeps about the frame's aspect ratio.

    Returns:
      (height, width) in pixels.
    """
    size = np.array([height, width])
    cells = np.ceil(size / _CELL)
    if np.prod(cells) * _CELL**2 > most_pixels:
        factor = math.sqrt(most_pixels / np.prod(size))
        cells = np.maximum(np.round(size * factor / _CELL), 1)
    return int(cells[0]) * _CELL, int(cells[1]) * _CELL


def largest_size(sizes: dict[str, int]) -> np.ndarray:
    """Return the largest height and the largest width of frames, int [2], in pixels.

    Args:
      sizes: {'HEIGHTxWIDTH': number of frames or videos of this size}, as in a
        manifest.
    """
    return np.max([np.array(key.split("x"), int) for key in sizes], axis=0)
