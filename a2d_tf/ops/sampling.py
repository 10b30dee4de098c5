"""Bilinear sampling on regular grids inside boxes, and its gradient with respect to the maps.

The cells are a linear function of the features, with three implementations; `ops.roi_align`
compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

# Most floats between the two products of `Einsum`, 64 MiB.
_CHUNK = 2**24


class Grid(NamedTuple):
    """Evenly spaced samples in R boxes; a cell is the mean of samples x samples of them.

    Attributes:
      first, last: float32 [R, 2], row and column of the outermost samples as indices of a map.
        Outside of 0..H - 1 the map's edge is repeated.
      owners: int32 [R], the map of each box, ascending.
      size: cells per side.
      samples: samples per cell and side.
    """

    first: tf.Tensor
    last: tf.Tensor
    owners: tf.Tensor
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
    span = tf.cast(tf.shape(features)[1:3] - 1, tf.float32)
    boxes = tf.concat([(first + 1.0) / span, (last + 1.0) / span], axis=1)
    return tf.image.crop_and_resize(features, boxes, owners, [number, number])


class Crop:
    """Sampling by `crop` and average pooling, with the gradients of these ops.

    Args:
      shape: (N, H, W, C) of the maps, where N may be a tensor.
      grid: the samples.
    """

    def __init__(self, shape: Sequence, grid: Grid) -> None:
        self._grid = grid

    def cells(self, features: tf.Tensor) -> tf.Tensor:
        """Sample features float32 [N, H, W, C]: float32 [R, n, n, C]."""
        grid = self._grid
        number = grid.size * grid.samples
        cells = crop(features, grid.first, grid.last, grid.owners, number=number)
        if grid.samples > 1:
            cells = tf.nn.avg_pool2d(cells, grid.samples, grid.samples, "VALID")
        return cells


class Sparse:
    """Sampling by a sparse matrix; arguments as of `Crop`."""

    def __init__(self, shape: Sequence, grid: Grid) -> None:
        self._shape, self._size = shape, grid.size
        _, height, width, _ = shape
        rows, row_weights = _corners(grid, 0, height)
        columns, column_weights = _corners(grid, 1, width)
        rows = (grid.owners[:, None, None] * height + rows) * width
        pixels = rows[:, :, None, :, None] + columns[:, None, :, None, :]
        weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
        number = tf.shape(rows)[0] * grid.size**2
        cells = tf.repeat(tf.range(number), rows.shape[2] * columns.shape[2])
        self._matrix = dict(
            a_indices=tf.stack([cells, tf.reshape(pixels, [-1])], axis=1),
            a_values=tf.reshape(weights, [-1]),
            a_shape=tf.cast([number, shape[0] * height * width], tf.int64),
        )

    def cells(self, features: tf.Tensor) -> tf.Tensor:
        """Sample features float32 [N, H, W, C]: float32 [R, n, n, C]."""
        return self._product(features, [-1, self._size, self._size, self._shape[3]])

    def gradient(self, cells: tf.Tensor) -> tf.Tensor:
        """Backpropagate cells float32 [R, n, n, C] to the maps: float32 [N, H, W, C]."""
        return self._product(cells, self._shape, adjoint_a=True)

    def _product(self, x, shape, **options):
        # The raw op accepts int32 indices, which are half as large.
        x = tf.reshape(x, [-1, self._shape[3]])
        x = tf.raw_ops.SparseTensorDenseMatMul(**self._matrix, b=x, **options)
        return tf.reshape(x, shape)


class Einsum:
    """Sampling by two dense products, rows and then columns; arguments as of `Crop`.

    It takes a few boxes of a map at a time to bound the memory.
    """

    def __init__(self, shape: Sequence, grid: Grid) -> None:
        self._shape, self._size = shape, grid.size
        number, height, width, channels = shape
        self._rows, self._columns = _dense(grid, 0, height), _dense(grid, 1, width)
        self._owners, maps = grid.owners, tf.range(number)
        self._starts = tf.searchsorted(grid.owners, maps, side="left")
        self._ends = tf.searchsorted(grid.owners, maps, side="right")
        self._boxes = max(1, _CHUNK // (grid.size * width * channels))

    def cells(self, features: tf.Tensor) -> tf.Tensor:
        """Sample features float32 [N, H, W, C]: float32 [R, n, n, C]."""
        number, height, width, channels = self._shape
        size = self._size
        maps = tf.reshape(features, [number, height, width * channels])

        def some(step, start, cells):
            owner = self._owners[start]
            end = tf.minimum(start + self._boxes, self._ends[owner])
            x = tf.reshape(self._rows[start:end], [-1, height]) @ maps[owner]
            x = self._columns[start:end, None] @ tf.reshape(x, [-1, size, width, channels])
            return step + 1, end, cells.write(step, x)

        cells = tf.TensorArray(
            tf.float32,
            0,
            dynamic_size=True,
            infer_shape=False,
            element_shape=[None, size, size, channels],
        )
        # A first part without boxes, because an empty TensorArray cannot be concatenated.
        start = (1, 0, cells.write(0, tf.zeros([0, size, size, channels])))
        total = tf.shape(self._owners)[0]
        *_, cells = tf.while_loop(
            lambda step, start, _: start < total, some, start, parallel_iterations=1
        )
        return cells.concat()

    def gradient(self, cells: tf.Tensor) -> tf.Tensor:
        """Backpropagate cells float32 [R, n, n, C] to the maps: float32 [N, H, W, C]."""
        number, height, width, channels = self._shape

        def one(owner):
            def some(start, total):
                end = tf.minimum(start + self._boxes, self._ends[owner])
                x = tf.matmul(self._columns[start:end, None], cells[start:end], transpose_a=True)
                x = tf.reshape(x, [-1, width * channels])
                rows = tf.reshape(self._rows[start:end], [-1, height])
                return end, total + tf.matmul(rows, x, transpose_a=True)

            start = (self._starts[owner], tf.zeros([height, width * channels]))
            return tf.while_loop(
                lambda start, _: start < self._ends[owner], some, start, parallel_iterations=1
            )[1]

        maps = tf.map_fn(
            one, tf.range(number), fn_output_signature=tf.float32, parallel_iterations=1
        )
        return tf.reshape(maps, self._shape)


def _positions(grid, axis, length):
    """Return the samples' positions along an axis, clipped to the map: float32 [R, m]."""
    first, last = grid.first[:, axis, None], grid.last[:, axis, None]
    number = grid.size * grid.samples
    steps = tf.range(number, dtype=tf.float32) / max(number - 1, 1)
    return tf.clip_by_value(first + (last - first) * steps, 0.0, length - 1.0)


def _corners(grid, axis, length):
    """Return the pixels that a cell reads along an axis and their weights: both [R, n, k]."""
    positions = _positions(grid, axis, length)
    low = tf.minimum(tf.floor(positions), max(length - 2.0, 0.0))
    part = positions - low
    low = tf.cast(low, tf.int32)
    pixels = tf.stack([low, tf.minimum(low + 1, length - 1)], axis=-1)
    weights = tf.stack([1.0 - part, part], axis=-1) / grid.samples
    shape = [-1, grid.size, 2 * grid.samples]
    return tf.reshape(pixels, shape), tf.reshape(weights, shape)


def _dense(grid, axis, length):
    """Return the weight of every pixel of an axis in every cell: float32 [R, n, length]."""
    positions = _positions(grid, axis, length)[..., None]
    weights = tf.nn.relu(1.0 - tf.abs(positions - tf.range(length, dtype=tf.float32)))
    weights = tf.reshape(weights, [-1, grid.size, grid.samples, length])
    return tf.reduce_mean(weights, axis=2)
