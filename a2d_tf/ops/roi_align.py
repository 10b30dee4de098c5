"""RoIAlign over a feature pyramid (paper, section 3.1).

Sampling grid: pixel i of a map covers [i, i + 1), with its value at the centre i + 1/2.
A side [a, b) of a box is divided into m = 2n intervals of length s = (b - a) / m (n
output cells with two samples each). Sample k lies at the centre of interval k, a + (k +
1/2) s, which is index a + (k + 1/2) s - 1/2 on the grid of pixel centres. Samples of a
box at the border can lie half a pixel outside of the centres, where the map's edge is
repeated. A cell is the mean of 2x2 samples. This is ROIAlign "v2, aligned" with
sampling ratio 2.

`legacy` is the convention of matterport's published weights: boxes divided by the
image's (H, W), in which 1 is the centre of a map's last pixel, one corner-aligned
sample per cell, levels rounded.

The levels are joined, so that `tf.image.crop_and_resize` and average pooling sample all
of them at once. On a CPU with several threads its gradient loses updates where RoIs
overlap (tensorflow issue 42033), and on a GPU it is not deterministic. The cells are a
linear function of the features, so two other gradients replace it, on a CPU and on a
GPU that must be deterministic:

sparse    The product with a sparse matrix, 16 numbers per cell: exact and deterministic on a CPU
          with any number of threads.
segments  A sum of what each pixel gets from every cell, by a kernel that is deterministic on a GPU.

Indices are computed as floats, which are exact below 2**24: TensorFlow has arithmetic
of int32 on the host alone, for shapes, and a GPU would wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from a2d_tf.ops import boxes as box_ops

# Most floats that `_segments` adds at a time, 512 MiB, by some channels after others.
_CHUNK = 2**27
_BOXES = 512  # where their number is not known before


def assign_levels(
    boxes: tf.Tensor, num_levels: int, convention: str = "aligned"
) -> tf.Tensor:
    """Return the pyramid level of each box, an index into levels of stride 4, 8, 16,
    ...

    aligned: floor(4 + log2(sqrt(h w) / 224)), Lin et al. 2017, Eq. 1, with 224 pixels
      at stride 16.
    legacy: round in place of floor.

    Args:
      boxes: [..., 4] in image pixels; the index of each is int64 [...].
      num_levels: number of levels, to which the index is clamped.
    """
    side = tf.sqrt(tf.maximum(box_ops.area(boxes), 1e-12))
    octaves = tf.math.log(side / 224.0) / tf.math.log(2.0)
    # The small addend keeps a side of exactly 224 / 2**k on its own level in float32.
    octaves = tf.round(octaves) if convention == "legacy" else tf.floor(octaves + 1e-6)
    return tf.cast(tf.clip_by_value(octaves + 2.0, 0.0, num_levels - 1.0), tf.int64)


def crop(
    images: tf.Tensor, boxes: tf.Tensor, box_indices: tf.Tensor, samples: int
) -> tf.Tensor:
    """Sample `samples` x `samples` points of each box bilinearly, with the edge
    repeated.

    Args:
      images: [N, H, W, C], sampled in float32; they get no gradient.
      boxes: float32 [R, 4] in pixels of this map; samples over half a pixel outside it
        are zero.
      box_indices: int32 [R], the map of each box.
      samples: m; the result is float32 [R, m, m, C].
    """
    first, last = _ends(boxes, samples)
    # Samples may lie half a pixel outside of the centres, where the op reads zeros.
    images = tf.stop_gradient(tf.cast(images, tf.float32))
    images = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return _crop(images, first + 1.0, last + 1.0, box_indices, samples)


def _crop(features, first, last, owners, number):
    """Sample number x number points, from index `first` to `last`, by
    crop_and_resize.
    """
    span = tf.cast(tf.shape(features)[1:3] - 1, tf.float32)
    boxes = tf.concat([first / span, last / span], axis=1)
    return tf.image.crop_and_resize(features, boxes, owners, [number, number])


def _ends(boxes, samples):
    """Return the indices of the first and last of the samples per side: two float32
    [..., 2].
    """
    first, last = tf.split(boxes, 2, axis=-1)
    step = (last - first) / samples
    first = first + 0.5 * step - 0.5
    return first, first + step * (samples - 1)


def _grid(shapes, rois, size, convention, image_size):
    """Assign RoIs [B, R, 4] to levels; return their samples."""
    levels = assign_levels(rois, len(shapes), convention)
    if convention == "legacy":
        boxes = rois / tf.constant([*image_size, *image_size], tf.float32)
        sides = tf.gather(np.float32(shapes) - 1.0, levels)
        first, last, samples = boxes[..., :2] * sides, boxes[..., 2:] * sides, 1
    else:
        scales = tf.gather(np.float32(0.25 * 0.5 ** np.arange(len(shapes))), levels)
        first, last = _ends(rois * scales[..., None], 2 * size)
        samples = 2
    frames = tf.cast(tf.range(tf.shape(rois)[0]), tf.float32)
    owners = tf.reshape(frames[:, None] + tf.zeros_like(rois[..., 0]), [-1])
    first, last = tf.reshape(first, [-1, 2]), tf.reshape(last, [-1, 2])
    return Grid(first, last, owners, tf.reshape(levels, [-1]), size, samples)


def gradient_for(on_gpu: bool) -> str:
    """Return the fastest gradient that is exact, and on a GPU deterministic where
    that is on.
    """
    if not on_gpu:
        return "sparse"
    return "segments" if is_op_determinism_enabled() else "op"


def roi_align(
    pyramid: Sequence[tf.Tensor],
    rois: tf.Tensor,
    size: int,
    convention: str = "aligned",
    *,
    image_size: tuple[int, int] | None = None,
    gradient: str = "sparse",
) -> tf.Tensor:
    """Extract the features of each RoI from the pyramid level for its size.

    Args:
      pyramid: list of [B, H_l, W_l, C], of strides 4, 8, 16, ..., static but for B.
      rois: float32 [B, R, 4] in image pixels, finite, inside the image; they get no
        gradient.
      size: n, cells per side.
      convention: 'aligned' or 'legacy'.
      image_size: (height, width) of the image, for the legacy convention only.
      gradient: 'sparse', 'segments', or 'op' for that of the ops; see `gradient_for`.

    Returns:
      float32 [B, R, n, n, C].
    """
    rois = tf.stop_gradient(rois)
    joined = Pyramid([tuple(features.shape[1:3]) for features in pyramid])
    grid = _grid(joined.shapes, rois, size, convention, image_size)
    frames = tf.shape(rois)[0]

    def sampled(*pyramid: tf.Tensor) -> tf.Tensor:
        return _cells(joined.join(pyramid), joined, grid)

    @tf.custom_gradient
    def exactly_sampled(*pyramid: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def backward(cells: tf.Tensor) -> list[tf.Tensor]:
            with tf.name_scope("gradient_tape/roi_align"):  # for profiles
                return joined.split(_GRADIENTS[gradient](cells, joined, grid, frames))

        return sampled(*pyramid), backward

    function = sampled if gradient == "op" else exactly_sampled
    cells = function(*(tf.cast(features, tf.float32) for features in pyramid))
    count, channels = tf.shape(rois)[1], pyramid[0].shape[-1]
    cells = tf.reshape(cells, [frames, count, size, size, channels])
    return tf.ensure_shape(cells, [rois.shape[0], rois.shape[1], size, size, channels])


class Pyramid:
    """Maps, of a (height, width) each, as one tensor [B, P, C] of all their P
    pixels.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        self._areas = [height * width for height, width in shapes]
        self.shapes, self.pixels = shapes, sum(self._areas)
        self.starts = np.cumsum([0, *self._areas[:-1]])

    def join(self, maps: Sequence[tf.Tensor]) -> tf.Tensor:
        """Join maps [B, H_l, W_l, C] to [B, P, C]."""
        flat = [
            tf.reshape(x, [-1, area, x.shape[-1]]) for x, area in zip(maps, self._areas)
        ]
        return tf.concat(flat, axis=1) if len(flat) > 1 else flat[0]

    def split(self, pixels: tf.Tensor) -> list[tf.Tensor]:
        """Invert `join`."""
        maps = tf.split(pixels, self._areas, axis=1)
        channels = pixels.shape[-1]
        return [
            tf.reshape(x, [-1, *shape, channels]) for x, shape in zip(maps, self.shapes)
        ]

    def atlas(self) -> tuple[np.ndarray, np.ndarray]:
        """Lay the maps out on one sheet, the finest above the others, each with its
        edge repeated.

        Returns:
          (the pixel at each place, int64 [height, width]; where the maps begin, float32
          [L, 2]).
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
    """Evenly spaced samples in R boxes; a cell is the mean of samples x samples of
    them.

    Attributes:
      first, last: float32 [R, 2], row and column of the outermost samples as indices of
        a map. Outside of 0..H - 1 the map's edge is repeated.
      owners: float32 [R], the frame of each box, a whole number.
      levels: int64 [R], its map in the pyramid.
      size: cells per side.
      samples: samples per cell and side.
    """

    first: tf.Tensor
    last: tf.Tensor
    owners: tf.Tensor
    levels: tf.Tensor
    size: int
    samples: int


def _cells(pixels, pyramid, grid):
    """Sample pixels float32 [B, P, C] of a Pyramid at a Grid: float32 [R, n, n, C]."""
    sheet, corners = pyramid.atlas()
    features = tf.gather(pixels, sheet, axis=1)
    corner = tf.gather(corners, grid.levels)
    number, owners = grid.size * grid.samples, tf.cast(grid.owners, tf.int32)
    cells = _crop(features, grid.first + corner, grid.last + corner, owners, number)
    if grid.samples > 1:
        cells = tf.nn.avg_pool2d(cells, grid.samples, grid.samples, "VALID")
    return cells


def _sparse(cells, pyramid, grid, batch):
    """Backpropagate cells float32 [R, n, n, C] to the pixels of B frames: float32
    [B, P, C].
    """
    # The raw op accepts int32 indices, which are half as large.
    pixels, weights = _corners(pyramid, grid, tf.int32)
    number, channels = tf.shape(grid.owners)[0] * grid.size**2, cells.shape[-1]
    rows = tf.repeat(tf.range(number), pixels.shape[-1])
    total = tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=tf.stack([rows, tf.reshape(pixels, [-1])], axis=1),
        a_values=tf.reshape(weights, [-1]),
        a_shape=tf.cast([number, batch * pyramid.pixels], tf.int64),
        b=tf.reshape(cells, [-1, channels]),
        adjoint_a=True,
    )
    return tf.reshape(total, [-1, pyramid.pixels, channels])


def _segments(cells, pyramid, grid, batch):
    """As `_sparse`, with neither loops nor sizes that depend on data."""
    pixels, weights = _corners(pyramid, grid, tf.int64)
    index, weights = tf.reshape(pixels, [-1]), weights[..., None]
    channels, rows = cells.shape[-1], math.prod(pixels.shape[1:])
    at_once = max(1, _CHUNK // (rows * (pixels.shape[0] or _BOXES)))
    sizes = [min(at_once, channels - start) for start in range(0, channels, at_once)]
    parts = tf.split(cells, sizes, axis=-1) if len(sizes) > 1 else [cells]
    sums = []
    for part in parts:
        part = tf.reshape(weights * part[..., None, :], [-1, part.shape[-1]])
        sums.append(tf.math.unsorted_segment_sum(part, index, batch * pyramid.pixels))
    total = tf.concat(sums, axis=1) if len(sums) > 1 else sums[0]
    return tf.reshape(total, [-1, pyramid.pixels, channels])


_GRADIENTS = {"sparse": _sparse, "segments": _segments}


def _corners(pyramid, grid, dtype):
    """Return the pixels that a cell reads, of all frames', and their weights: [R, n,
    n, k] both.
    """
    shapes = np.array(pyramid.shapes, np.float32)
    table = tf.gather(
        np.column_stack([shapes, np.float32(pyramid.starts)]), grid.levels
    )
    (rows, columns), (row_weights, column_weights) = (
        tf.unstack(x, axis=1) for x in _along(grid, table[:, :2])
    )
    rows = rows * table[:, 1, None, None] + table[:, 2, None, None]
    pixels = rows[:, :, None, :, None] + columns[:, None, :, None, :]
    owners = tf.reshape(tf.cast(grid.owners, dtype), [-1, 1, 1, 1, 1])
    pixels = tf.cast(pixels, dtype) + owners * pyramid.pixels
    weights = row_weights[:, :, None, :, None] * column_weights[:, None, :, None, :]
    shape = [-1, grid.size, grid.size, (2 * grid.samples) ** 2]
    return tf.reshape(pixels, shape), tf.reshape(weights, shape)


def _along(grid, sides):
    """Return the pixels that a cell reads along each axis and their weights: float32
    [R, 2, n, k].

    `sides` are those of each box's map, float32 [R, 2].
    """
    first, end, number = (
        grid.first[..., None],
        sides[..., None] - 1.0,
        grid.size * grid.samples,
    )
    steps = tf.range(number, dtype=tf.float32) / max(number - 1, 1)
    positions = first + (grid.last[..., None] - first) * steps
    positions = tf.maximum(tf.minimum(positions, end), 0.0)
    low = tf.minimum(tf.floor(positions), tf.maximum(end - 1.0, 0.0))
    part = positions - low
    pixels = tf.stack([low, tf.minimum(low + 1.0, end)], axis=-1)
    weights = tf.stack([1.0 - part, part], axis=-1) / grid.samples
    shape = [-1, 2, grid.size, 2 * grid.samples]
    return tf.reshape(pixels, shape), tf.reshape(weights, shape)
