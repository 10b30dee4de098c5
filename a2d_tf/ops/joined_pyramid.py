"""The maps of a pyramid as one tensor, and where RoIs sample it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class SampleGrid(NamedTuple):
    """Evenly spaced samples in R boxes, samples x samples of them in each cell.

    Attributes:
      first, last: float32 [R, 2], row and column of the outermost samples as indices of
        a map. Outside of 0..H - 1 the map's edge is repeated.
      frame_of_box: [R], the index of its frame, as float32 because a GPU would wait for
        arithmetic of int32 (see `roi_gradients`).
      levels: int64 [R], the map of each box in the pyramid.
      size: cells per side.
      samples: samples per cell and side.
    """

    first: tf.Tensor
    last: tf.Tensor
    frame_of_box: tf.Tensor
    levels: tf.Tensor
    size: int
    samples: int


class Atlas(NamedTuple):
    """All maps of a pyramid on one sheet.

    Attributes:
      pixels: int64 [height, width], the pixel of `JoinedPyramid` at each place.
      corners: float32 [L, 2], row and column of each map's first pixel on the sheet.
    """

    pixels: np.ndarray
    corners: np.ndarray


class JoinedPyramid:
    """Maps as one tensor [B, P, C] of all their P pixels.

    Args:
      shapes: (height, width) of each map.

    Attributes:
      pixels: P.
      starts: the first pixel of each map.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        self.shapes = shapes
        self._map_pixels = [height * width for height, width in shapes]
        self.pixels = sum(self._map_pixels)
        self.starts = np.cumsum([0, *self._map_pixels[:-1]])

    def join(self, maps: Sequence[tf.Tensor]) -> tf.Tensor:
        """Join maps [B, H_l, W_l, C] to [B, P, C]."""
        flat = []
        for features, count in zip(maps, self._map_pixels):
            flat.append(tf.reshape(features, [-1, count, features.shape[-1]]))
        if len(flat) == 1:
            return flat[0]
        return tf.concat(flat, axis=1)

    def split(self, pixels: tf.Tensor) -> list[tf.Tensor]:
        """Invert `join`."""
        channels = pixels.shape[-1]
        maps = []
        for flat, shape in zip(tf.split(pixels, self._map_pixels, axis=1), self.shapes):
            maps.append(tf.reshape(flat, [-1, *shape, channels]))
        return maps

    def atlas(self) -> Atlas:
        """Lay the maps out on one sheet, each with its edge repeated.

        The finest map is above all others, which are side by side.
        """
        framed = []
        for shape, count, start in zip(self.shapes, self._map_pixels, self.starts):
            indices = start + np.arange(count).reshape(shape)
            framed.append(np.pad(indices, 1, "edge"))
        finest, *coarser = framed

        corners = [(0, 0)]
        below = len(finest)
        left = 0
        for indices in coarser:
            corners.append((below, left))
            left += indices.shape[1]
        height = below + max((len(indices) for indices in coarser), default=0)
        width = max(finest.shape[1], left)

        sheet = np.zeros([height, width], np.int64)
        for (top, left), indices in zip(corners, framed):
            rows, columns = indices.shape
            sheet[top : top + rows, left : left + columns] = indices
        return Atlas(sheet, np.array(corners, np.float32) + 1)
