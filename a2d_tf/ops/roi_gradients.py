"""The gradient of RoIAlign with respect to the pyramid, exact and deterministic.

A cell is a weighted sum of features, so its gradient goes to the pixels with the same
weights. Two functions compute this:

sparse    multiplies with a sparse matrix of 16 numbers per cell. It is exact and
          deterministic on a CPU with any number of threads.
segments  sums, for each pixel, the gradients of all cells that read it. It is
          deterministic on a GPU.

Indices are floats, which are exact below 2**24. TensorFlow computes with int32 on the
CPU only, and a GPU would wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.ops.joined_pyramid import JoinedPyramid, SampleGrid

Gradient = Callable[[tf.Tensor, JoinedPyramid, SampleGrid, tf.Tensor], tf.Tensor]
"""The type of `sparse` and `segments`."""
# `segments` adds so many channels at a time that they have at most this many floats,
# which take 512 MiB.
_CHUNK = 2**27
_BOXES = 512  # assumed if the number of boxes is not static


def sparse(
    cells: tf.Tensor, joined: JoinedPyramid, grid: SampleGrid, batch_size: tf.Tensor
) -> tf.Tensor:
    """Backpropagate from RoIAlign's cells to the pyramid by a sparse matrix product.

    The forward sampling is a sparse matrix; its transpose is multiplied by the
    gradients.

    Args:
      cells: gradients of the loss by the cells of all R RoIs, float32 [R, n, n, C].
      joined: the layout of the pyramid that the cells were sampled from.
      grid: the positions that were sampled.
      batch_size: B, the number of frames, a scalar.

    Returns:
      float32 [B, P, C], the gradient by each of the P pixels of all levels.
    """
    # The raw op accepts int32 indices, which are half as large.
    sources = _sources_of_cells(joined, grid, tf.int32)
    number = tf.shape(grid.frame_of_box)[0] * grid.size**2
    channels = cells.shape[-1]
    rows = tf.repeat(tf.range(number), sources.pixels.shape[-1])
    total = tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=tf.stack([rows, tf.reshape(sources.pixels, [-1])], axis=1),
        a_values=tf.reshape(sources.weights, [-1]),
        a_shape=tf.cast([number, batch_size * joined.pixels], tf.int64),
        b=tf.reshape(cells, [-1, channels]),
        adjoint_a=True,
    )
    return tf.reshape(total, [-1, joined.pixels, channels])


def segments(
    cells: tf.Tensor, joined: JoinedPyramid, grid: SampleGrid, batch_size: tf.Tensor
) -> tf.Tensor:
    """Backpropagate from RoIAlign's cells to the pyramid by sums over each pixel.

    Loops and shapes do not depend on the data.

    Args:
      cells: gradients of the loss by the cells of all R RoIs, float32 [R, n, n, C].
      joined: the layout of the pyramid that the cells were sampled from.
      grid: the positions that were sampled.
      batch_size: B, the number of frames, a scalar.

    Returns:
      float32 [B, P, C], the gradient by each of the P pixels of all levels.
    """
    sources = _sources_of_cells(joined, grid, tf.int64)
    segment_ids = tf.reshape(sources.pixels, [-1])
    weights = sources.weights[..., None]
    channels = cells.shape[-1]
    rows_per_box = math.prod(sources.pixels.shape[1:])
    boxes = sources.pixels.shape[0] or _BOXES
    number = batch_size * joined.pixels
    sums = []
    for part in _channel_parts(cells, _CHUNK // (rows_per_box * boxes)):
        shares = tf.reshape(weights * part[..., None, :], [-1, part.shape[-1]])
        sums.append(tf.math.unsorted_segment_sum(shares, segment_ids, number))
    pixels = sums[0]
    if len(sums) > 1:
        pixels = tf.concat(sums, axis=1)
    return tf.reshape(pixels, [-1, joined.pixels, channels])


def _channel_parts(cells: tf.Tensor, most: int) -> list[tf.Tensor]:
    """Split cells [..., C] into parts of at most `most` channels; 0 counts as 1."""
    channels = cells.shape[-1]
    at_once = max(1, most)
    if channels <= at_once:
        return [cells]
    sizes = []
    for start in range(0, channels, at_once):
        sizes.append(min(at_once, channels - start))
    return tf.split(cells, sizes, axis=-1)


class _CellSources(NamedTuple):
    """The k pixels whose weighted sum is a cell.

    Attributes:
      pixels: [R, n, n, k], indices of pixels, counted over all frames' pyramids.
      weights: float32 [R, n, n, k], the weight of each pixel in the cell.
    """

    pixels: tf.Tensor
    weights: tf.Tensor


class _AxisSources(NamedTuple):
    """The k rows and the k columns that each row and column of cells reads.

    Attributes:
      positions: float32 [R, 2, n, k], indices of rows, then of columns, in the map.
      weights: float32 [R, 2, n, k], the weight of each row and column.
    """

    positions: tf.Tensor
    weights: tf.Tensor


def _sources_of_cells(
    joined: JoinedPyramid, grid: SampleGrid, dtype: tf.DType
) -> _CellSources:
    """Return the pixels that the cells read, [R, n, n, k]."""
    starts = np.float32(joined.starts)
    table = np.column_stack([np.array(joined.shapes, np.float32), starts])
    maps = tf.gather(table, grid.levels)  # [R, 3]: height, width and first pixel
    along_axes = _sources_along_axes(grid, maps[:, :2])
    rows, columns = tf.unstack(along_axes.positions, axis=1)
    row_weights, column_weights = tf.unstack(along_axes.weights, axis=1)
    rows = rows * maps[:, 1, None, None] + maps[:, 2, None, None]
    pixels = rows[:, :, None, :, None] + columns[:, None, :, None, :]
    frame_of_box = tf.reshape(tf.cast(grid.frame_of_box, dtype), [-1, 1, 1, 1, 1])
    pixels = tf.cast(pixels, dtype) + frame_of_box * joined.pixels
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    shape = [-1, grid.size, grid.size, (2 * grid.samples) ** 2]
    return _CellSources(tf.reshape(pixels, shape), tf.reshape(weights, shape))


def _sources_along_axes(grid: SampleGrid, map_sizes: tf.Tensor) -> _AxisSources:
    """Return the rows and columns that the cells read, float32 [R, 2, n, k].

    Args:
      map_sizes: height and width of each box's map, float32 [R, 2].
    """
    first = grid.first[..., None]
    end = map_sizes[..., None] - 1.0
    number = grid.size * grid.samples
    steps = tf.range(number, dtype=tf.float32) / max(number - 1, 1)
    positions = first + (grid.last[..., None] - first) * steps
    positions = tf.maximum(tf.minimum(positions, end), 0.0)
    low = tf.minimum(tf.floor(positions), tf.maximum(end - 1.0, 0.0))
    fraction = positions - low
    pixels = tf.stack([low, tf.minimum(low + 1.0, end)], axis=-1)
    weights = tf.stack([1.0 - fraction, fraction], axis=-1) / grid.samples
    shape = [-1, 2, grid.size, 2 * grid.samples]
    return _AxisSources(tf.reshape(pixels, shape), tf.reshape(weights, shape))
