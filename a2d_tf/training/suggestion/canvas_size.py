"""The suggested canvas, by the sizes of frames."""

from __future__ import annotations

import math

import numpy as np

_CELL = 32  # of the coarsest map that a canvas must divide into


def canvas_of_records(
    sizes: dict[str, int], most_pixels: float = math.inf
) -> tuple[int, int]:
    """Return the canvas (height, width) of frames of several sizes.

    Args:
      sizes: of the stored frames, as in a manifest.
      most_pixels: see `canvas_of_frame`.
    """
    height, width = largest_size(sizes)
    return canvas_of_frame(height, width, most_pixels)


def canvas_of_frame(height: int, width: int, most_pixels: float) -> tuple[int, int]:
    """Return the least (height, width) in multiples of 32 that holds a frame.

    Args:
      most_pixels: a larger canvas is shrunk to about as many, of the same aspect.
    """
    size = np.array([height, width])
    cells = np.ceil(size / _CELL)
    if np.prod(cells) * _CELL**2 > most_pixels:
        factor = math.sqrt(most_pixels / np.prod(size))
        cells = np.maximum(np.round(size * factor / _CELL), 1)
    return int(cells[0]) * _CELL, int(cells[1]) * _CELL


def largest_size(sizes: dict[str, int]) -> np.ndarray:
    """Return the largest [height, width] of a manifest's {'<height>x<width>': ...}."""
    return np.max([np.array(key.split("x"), int) for key in sizes], axis=0)
