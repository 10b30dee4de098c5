"""The maps of a feature pyramid as one tensor, and the positions that RoIs sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class SampleGrid(NamedTuple):
    """The positions at which RoIAlign samples R boxes, evenly spaced in each box.

    A box has size x size cells, and each cell has samples x samples positions.

    Attributes:
      first: float32 [R, 2], row and column of each box's first sample, in pixels of its
        map; 0 is the centre of the first pixel. Outside of the map its edge is
        repeated.
      last: float32 [R, 2], likewise of the last sample.
      frame_of_box: float32 [R], the index of each box's frame. It is no integer,
        because a GPU would wait for arithmetic of int32 (see `roi_gradients`).
      levels: int64 [R], the index of each box's map in the pyramid.
      size: number of cells along each side of a box.
      samples: number of samples along each side of a cell.
    """

    first: tf.Tensor
    last: tf.Tensor
    frame_of_box: tf.Tensor
    levels: tf.Tensor
    size: int
    samples: int


class Atlas(NamedTuple):
    """The layout of all maps of a pyramid side by side in one image.

    Attributes:
      pixels: int64 [height, width], for each position of the image the index (0 to P -
        1) of the `JoinedPyramid`'s pixel that stands there.
      corners: float32 [L, 2], row and column of each map's first pixel in the image.
    """

    pixels: np.ndarray
    corners: np.ndarray


class JoinedPyramid:
    """The layout of a pyramid's maps in one tensor [B, P, C] of all their P pixels.

    The pixels are ordered by map, row and column. RoIAlign samples all levels of a
    feature pyramid at once in this tensor.

    Args:
      shapes: (height, width) of each map, the finest first.

    Attributes:
      shapes: the argument.
      pixels: P, the number of pixels of all maps together.
      starts: int [L], the index among the P pixels of each map's first pixel.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        self.shapes = shapes
        self._map_pixels = [height * width for height, width in shapes]
        self.pixels = sum(self._map_pixels)
        self.starts = np.cumsum([0, *self._map_pixels[:-1]])

    def join(self, maps: Sequence[tf.Tensor]) -> tf.Tensor:
        """Join the maps of a pyramid to one tensor.

        Args:
          maps: a map [B, H_l, W_l, C] for each of `shapes`.

        Returns:
          [B, P, C].
        """
        flat = []
        for features, count in zip(maps, self._map_pixels):
            flat.append(tf.reshape(features, [-1, count, features.shape[-1]]))
        if len(flat) == 1:
            return flat[0]
        return tf.concat(flat, axis=1)

    def split(self, pixels: tf.Tensor) -> list[tf.Tensor]:
        """Split a tensor of all pixels into the pyramid's maps, the inverse of `join`.

        Args:
          pixels: [B, P, C].

        Returns:
          a map [B, H_l, W_l, C] for each of `shapes`.
        """
        channels = pixels.shape[-1]
        maps = []
        for flat, shape in zip(tf.split(pixels, self._map_pixels, axis=1), self.shapes):
            maps.append(tf.reshape(flat, [-1, *shape, channels]))
        return maps

    def atlas(self) -> Atlas:
        """Arrange the maps in one image, so that one operation can sample all of them.

        Each map is surrounded by a repetition of its edge, one pixel wide. The finest
        map is above the others, which are side by side.
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
