"""Bilinear sampling on regular grids inside boxes, and its gradient with respect to the maps.

The maps of a pyramid are joined, so that boxes of all its levels are sampled at once. The cells are
a linear function of the features, with three implementations; `ops.roi_align` compares them.

Indices are computed as floats, which are exact below 2**24: TensorFlow has arithmetic of int32 on
the host alone, for shapes, and a GPU would wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# Most floats that `Segments` adds at a time, 256 MiB, by some channels after others.
_CHUNK = 2**26
_BOXES = 512  # where their number is not known before


class Pyramid:
    """Maps of one number of channels as one tensor [B, P, C] of all their P pixels.

    Args:
      shapes: (height, width) of each level's map.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        self._areas = [height * width for height, width in shapes]
        self.shapes, self.pixels = shapes, sum(self._areas)
        self.starts = np.cumsum([0, *self._areas[:-1]])

    def join(self, maps: Sequence[tf.Tensor]) -> tf.Tensor:
        """Join maps [B, H_l, W_l, C] to [B, P, C]."""
        flat = [tf.reshape(x, [-1, area, x.shape[-1]]) for x, area in zip(maps, self._areas)]
        return tf.concat(flat, axis=1) if len(flat) > 1 else flat[0]

    def split(self, pixels: tf.Tensor) -> list[tf.Tensor]:
        """Invert `join`."""
        maps = tf.split(pixels, self._areas, axis=1)
        channels = pixels.shape[-1]
        return [tf.reshape(x, [-1, *shape, channels]) for x, shape in zip(maps, self.shapes)]

    def atlas(self) -> tuple[np.ndarray, np.ndarray]:
        """Lay the maps out on one sheet, the finest above the others, each with its edge repeated.

        Returns:
          (the pixel at each place, int64 [height, width]; where the maps begin, float32 [L, 2]).
        """
        framed = [
            np.pad(start + np.arange(area).reshape(shape), 1, "edge")
            for shape, area, start in zip(self.shapes, self._areas, self.starts)
        ]
        below = [x.shape[1] for x in framed[1:]]
        height = framed[0].shape[0]
        whole = height + max((len(x) for x in framed[1:]), default=0)
        sheet = np.zeros([whole, max(framed[0].shape[1], sum(below))], np.int64)
        corners = [(0, 0), *((height, left) for left in np.cumsum([0, *below])[:-1])]
        for (top, left), x in zip(corners, framed):
            sheet[top : top + x.shape[0], left : left + x.shape[1]] = x
        return sheet, np.array(corners, np.float32) + 1


class Grid(NamedTuple):
    """Evenly spaced samples in R boxes; a cell is the mean of samples x samples of them.

    Attributes:
      first, last: float32 [R, 2], row and column of the outermost samples as indices of a map.
        Outside of 0..H - 1 the map's edge is repeated.
      owners: float32 [R], the frame of each box, a whole number.
      levels: int32 [R], its map in the pyramid.
      size: cells per side.
      samples: samples per cell and side.
    """

    first: tf.Tensor
    last: tf.Tensor
    owners: tf.Tensor
    levels: tf.Tensor
    size: int
    samples: int


def crop(
    features: tf.Tensor, first: tf.Tensor, last: tf.Tensor, owners: tf.Tensor, *, number: int
) -> tf.Tensor:
    """Sample number x number points per box by `tf.image.crop_and_resize`: float32 [R, m, m, C].

    They may lie up to one pixel outside of the map, which is padded by its edge, because the op
    reads zeros there. Its gradient loses updates on a CPU with several threads.
    """
    features = tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return _crop(features, first + 1.0, last + 1.0, owners, number)


def _crop(features, first, last, owners, number):
    span = tf.cast(tf.shape(features)[1:3] - 1, tf.float32)
    boxes = tf.concat([first / span, last / span], axis=1)
    return tf.image.crop_and_resize(features, boxes, owners, [number, number])


class Crop:
    """Sampling by `tf.image.crop_and_resize` and average pooling, with the gradients of these ops.

    Args:
      pyramid: a Pyramid; grid: the samples; batch: the number B of frames, which may be a tensor.
    """

    def __init__(self, pyramid: Pyramid, grid: Grid, batch: int | tf.Tensor) -> None:
        self._pyramid, self._grid = pyramid, grid

    def cells(self, pixels: tf.Tensor) -> tf.Tensor:
        """Sample pixels float32 [B, P, C]: float32 [R, n, n, C]."""
        grid = self._grid
        sheet, corners = self._pyramid.atlas()
        features = tf.gather(pixels, sheet, axis=1)
        corner = tf.gather(corners, grid.levels)
        number, owners = grid.size * grid.samples, tf.cast(grid.owners, tf.int32)
        cells = _crop(features, grid.first + corner, grid.last + corner, owners, number)
        if grid.samples > 1:
            cells = tf.nn.avg_pool2d(cells, grid.samples, grid.samples, "VALID")
        return cells


class Sparse:
    """Sampling by a sparse matrix; arguments as of `Crop`."""

    def __init__(self, pyramid: Pyramid, grid: Grid, batch: int | tf.Tensor) -> None:
        self._pixels, self._size = pyramid.pixels, grid.size
        # The raw op accepts int32 indices, which are half as large.
        pixels, weights = _corners(pyramid, grid, tf.int32)
        number = tf.shape(grid.owners)[0] * grid.size**2
        cells = tf.repeat(tf.range(number), pixels.shape[-1])
        self._matrix = dict(
            a_indices=tf.stack([cells, tf.reshape(pixels, [-1])], axis=1),
            a_values=tf.reshape(weights, [-1]),
            a_shape=tf.cast([number, batch * pyramid.pixels], tf.int64),
        )

    def cells(self, pixels: tf.Tensor) -> tf.Tensor:
        """Sample pixels float32 [B, P, C]: float32 [R, n, n, C]."""
        return self._product(pixels, [-1, self._size, self._size])

    def gradient(self, cells: tf.Tensor) -> tf.Tensor:
        """Backpropagate cells float32 [R, n, n, C] to the pixels: float32 [B, P, C]."""
        return self._product(cells, [-1, self._pixels], adjoint_a=True)

    def _product(self, x, shape, **options):
        channels = x.shape[-1]
        x = tf.reshape(x, [-1, channels])
        x = tf.raw_ops.SparseTensorDenseMatMul(**self._matrix, b=x, **options)
        return tf.reshape(x, [*shape, channels])


class Segments(Crop):
    """As `Crop`, but its gradient is a sum of segments: of what each pixel gets from every cell.

    That has a deterministic kernel on a GPU, and neither loops nor sizes that depend on data.
    """

    def __init__(self, pyramid: Pyramid, grid: Grid, batch: int | tf.Tensor) -> None:
        super().__init__(pyramid, grid, batch)
        self._segments = batch * pyramid.pixels

    def gradient(self, cells: tf.Tensor) -> tf.Tensor:
        """Backpropagate cells float32 [R, n, n, C] to the pixels: float32 [B, P, C]."""
        pixels, weights = _corners(self._pyramid, self._grid, tf.int64)
        index, weights = tf.reshape(pixels, [-1]), weights[..., None]
        channels, rows = cells.shape[-1], math.prod(pixels.shape[1:])
        at_once = max(1, _CHUNK // (rows * (pixels.shape[0] or _BOXES)))
        sizes = [min(at_once, channels - start) for start in range(0, channels, at_once)]
        parts = tf.split(cells, sizes, axis=-1) if len(sizes) > 1 else [cells]
        sums = []
        for part in parts:
            part = tf.reshape(weights * part[..., None, :], [-1, part.shape[-1]])
            sums.append(tf.math.unsorted_segment_sum(part, index, self._segments))
        total = tf.concat(sums, axis=1) if len(sums) > 1 else sums[0]
        return tf.reshape(total, [-1, self._pyramid.pixels, channels])


def _corners(pyramid, grid, dtype):
    """Return the pixels that a cell reads, of all frames', and their weights: [R, n, n, k] both."""
    shapes = np.array(pyramid.shapes, np.float32)
    table = tf.gather(np.column_stack([shapes, np.float32(pyramid.starts)]), grid.levels)
    height, width, start = (x[:, None, None] for x in tf.unstack(table, axis=1))
    rows, row_weights = _along(grid, 0, height)
    columns, column_weights = _along(grid, 1, width)
    rows = rows * width + start
    pixels = rows[:, :, None, :, None] + columns[:, None, :, None, :]
    owners = tf.reshape(tf.cast(grid.owners, dtype), [-1, 1, 1, 1, 1])
    pixels = tf.cast(pixels, dtype) + owners * pyramid.pixels
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    shape = [-1, grid.size, grid.size, (2 * grid.samples) ** 2]
    return tf.reshape(pixels, shape), tf.reshape(weights, shape)


def _along(grid, axis, length):
    """Return the pixels that a cell reads along an axis and their weights: float32 [R, n, k]."""
    first, last = grid.first[:, axis, None], grid.last[:, axis, None]
    number = grid.size * grid.samples
    steps = tf.range(number, dtype=tf.float32) / max(number - 1, 1)
    positions = (first + (last - first) * steps)[:, None]
    positions = tf.maximum(tf.minimum(positions, length - 1.0), 0.0)
    low = tf.minimum(tf.floor(positions), tf.maximum(length - 2.0, 0.0))
    part = positions - low
    pixels = tf.stack([low, tf.minimum(low + 1.0, length - 1.0)], axis=-1)
    weights = tf.stack([1.0 - part, part], axis=-1) / grid.samples
    shape = [-1, grid.size, 2 * grid.samples]
    return tf.reshape(pixels, shape), tf.reshape(weights, shape)
