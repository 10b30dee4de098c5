"""Instance masks: training targets from ground truth, label maps from predictions.

Label maps are painted in a graph by `paint`, and of a frame in NumPy by `patches` and
`Canvas`, in less time: only pixels inside an instance's box are touched, and other
threads can run meanwhile. Both do the same operations on a pixel in the same order. On
processors with fused multiply-add the results are equal to the bit; elsewhere
probabilities may differ in the last bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from pycocotools import mask as rle_tools

from a2d_tf.ops import roi_align


def crop_targets(
    masks: tf.Tensor, rois: tf.Tensor, matches: tf.Tensor, size: int
) -> tf.Tensor:
    """Sample the matched instance's mask inside each RoI: the mask head's targets.

    Args:
      masks: 0/1 [B, N, H, W] over the image.
      rois: float32 [B, R, 4] in image pixels.
      matches: int [B, R], the instance of each RoI, in 0..N-1.
      size: cells a side.

    Returns:
      float32 0/1 [B, R, size, size], bilinear samples at the cells' centres,
      thresholded at 1/2.
    """
    shape = tf.shape(masks)
    maps = tf.reshape(masks, [shape[0] * shape[1], shape[2], shape[3], 1])
    # As floats, which are exact below 2**24: see `roi_align`.
    frames = tf.range(tf.cast(shape[0], tf.float32))[:, None] * tf.cast(
        shape[1], tf.float32
    )
    owners = tf.cast(tf.reshape(frames + tf.cast(matches, tf.float32), [-1]), tf.int32)
    cells = roi_align.crop(maps, tf.reshape(rois, [-1, 4]), owners, size)
    cells = tf.reshape(
        cells, [shape[0], rois.shape[1] or tf.shape(rois)[1], size, size]
    )
    return tf.cast(cells >= 0.5, tf.float32)


def _interpolation(first, last, length, size):
    """Return weights that resample `size` cells over [first, last) at `length` pixel
    centres.

    Bilinear between cell centres, constant outside them, zero outside the span.

    The ends are float32 [B], in pixels; the weights float32 [B, length, size].
    """
    centres = tf.range(length, dtype=tf.float32) + 0.5
    first, last = first[:, None], last[:, None]
    position = (centres - first) / tf.maximum(last - first, 1e-6) * tf.cast(
        size, tf.float32
    ) - 0.5
    inside = (centres >= first) & (centres < last)
    position = tf.clip_by_value(position, 0.0, tf.cast(size - 1, tf.float32))
    cells = tf.range(size, dtype=tf.float32)
    weights = tf.maximum(0.0, 1.0 - tf.abs(position[..., None] - cells))
    return tf.where(inside[..., None], weights, 0.0)


def paste(
    masks: tf.Tensor, boxes: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor
) -> tf.Tensor:
    """Resample masks [B, m, m] into boxes [B, 4] of an image: float32 [B, height,
    width].
    """
    size = masks.shape[-1]
    rows = _interpolation(boxes[:, 0], boxes[:, 2], height, size)
    columns = _interpolation(boxes[:, 1], boxes[:, 3], width, size)
    return tf.einsum("bhi,bij,bwj->bhw", rows, masks, columns, optimize="optimal")


def paint(
    masks: tf.Tensor,
    boxes: tf.Tensor,
    scores: tf.Tensor,
    codes: tf.Tensor,
    *,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
) -> tf.Tensor:
    """Paint a label map: each pixel gets the code of the best instance with a mask >=
    1/2 there.

    Instances are painted one by one, so that memory does not grow with their number.

    Args:
      masks: float32 [B, N, m, m], probabilities.
      boxes: float32 [B, N, 4] in pixels of the map.
      scores: float32 [B, N]; instances with score <= 0 are not painted.
      codes: int32 [B, N].
      height, width: size of the map.

    Returns:
      int32 [B, height, width], 0 without an instance.
    """

    def add(
        index: tf.Tensor, best: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        mask = paste(masks[:, index], boxes[:, index], height, width)
        value = tf.where(mask >= 0.5, scores[:, index, None, None], 0.0)
        better = value > best
        labels = tf.where(better, codes[:, index, None, None], labels)
        return index + 1, tf.where(better, value, best), labels

    # Stop after the last instance of the fullest image; the other rows are padding.
    count = tf.reduce_max(tf.where(scores > 0, tf.range(1, tf.shape(scores)[1] + 1), 0))
    shape, maps = [tf.shape(masks)[0], height, width], tf.TensorShape([None] * 3)
    start = 0, tf.zeros(shape), tf.zeros(shape, tf.int32)
    shapes = tf.TensorShape([]), maps, maps
    return tf.while_loop(
        lambda index, *_: index < count, add, start, shape_invariants=shapes
    )[2]


class Patch(NamedTuple):
    """A mask at the size of the frame, where it is not zero.

    Attributes:
      rows, columns: the window of the frame.
      values: float32, the probabilities of the window's pixels; those from 1/2 on are
        the mask.
    """

    rows: slice
    columns: slice
    values: np.ndarray

    def mask(self, height: int, width: int) -> np.ndarray:
        """Return the mask of the whole frame, bool [height, width]."""
        whole = np.zeros((height, width), bool)
        whole[self.rows, self.columns] = self.values >= 0.5
        return whole

    def rle(self, height: int, width: int) -> dict:
        """Return the mask of the whole frame as COCO's compressed RLE, reading its
        columns alone.

        COCO counts the runs of 0 and 1 in turn, column after column:
          `segmentations.encode_mask`.
        """
        inside = np.zeros((self.values.shape[1], height), bool)
        inside[:, self.rows] = self.values.T >= 0.5
        changes = np.flatnonzero(np.diff(inside.ravel(), prepend=False, append=False))
        changes += self.columns.start * height
        runs = np.diff(changes, prepend=0, append=height * width).tolist()
        size = [height, width]
        counts = runs if runs[-1] else runs[:-1]
        encoded = rle_tools.frPyObjects({"size": size, "counts": counts}, height, width)
        return {"size": size, "counts": encoded["counts"].decode()}


def patches(
    masks: np.ndarray, boxes: np.ndarray, height: int, width: int
) -> Iterator[Patch]:
    """Resample probabilities [N, m, m] into their boxes [N, 4] of a frame, one after
    another.
    """
    size = masks.shape[-1]
    along_y = _samples(boxes[:, 0], boxes[:, 2], height, size)
    along_x = _samples(boxes[:, 1], boxes[:, 3], width, size)
    for mask, (rows, *y), (columns, *x) in zip(masks, along_y, along_x):
        yield Patch(rows, columns, _resample(_resample(mask, *y).T, *x).T)


def _samples(first, last, length, size):
    """Yield of each span its pixels and their samples: where `_interpolation` is not
    zero.

    Args:
      first, last: float32 [N], in pixels.

    Yields:
      the pixels as a slice; of each the cell before its centre and the one behind it;
      the weights of both, float32 [n, 1].
    """
    one, half = np.float32(1), np.float32(0.5)
    centres = np.arange(length, dtype=np.float32) + half
    first, last = first[:, None], last[:, None]
    extent = np.maximum(last - first, np.float32(1e-6))
    position = (centres - first) / extent * np.float32(size) - half
    inside = (centres >= first) & (centres < last)
    position = np.clip(position, np.float32(0), np.float32(size - 1))
    before = np.floor(position)
    shares = one - (position - before), one - (before + one - position)
    before = before.astype(np.intp)
    behind = np.minimum(before + 1, size - 1)
    starts, counts = inside.argmax(axis=1), inside.sum(axis=1)
    for row, (start, count) in enumerate(zip(starts.tolist(), counts.tolist())):
        span = slice(start, start + count)
        yield (
            span,
            before[row, span],
            behind[row, span],
            *(x[row, span, None] for x in shares),
        )


def _resample(cells, before, behind, share, other):
    """Resample [size, n] to [length, n]; the other arguments are of `_samples`.

    A matrix product of the graph adds the second product to the first, rounded, without
    rounding it by itself, as 64 bits do here.
    """
    cells = np.ascontiguousarray(cells)
    total = (cells[before] * share).astype(np.float64)
    total += cells[behind] * other.astype(np.float64)
    return total.astype(np.float32)


class Canvas:
    """A label map that is painted one instance after another.

    Attributes:
      labels: codes [height, width]; 0 without an instance.
    """

    def __init__(
        self, height: int, width: int, dtype: npt.DTypeLike = np.int32
    ) -> None:
        self.labels: np.ndarray = np.zeros((height, width), dtype)
        self._best = np.zeros((height, width), np.float32)

    def add(self, patch: Patch, score: np.float32, code: int) -> None:
        """Paint an instance where its mask is, and no better one. A score <= 0
        paints nothing.
        """
        window = patch.rows, patch.columns
        best = self._best[window]
        better = (patch.values >= 0.5) & (score > best)
        np.copyto(best, score, where=better)
        np.copyto(self.labels[window], code, where=better, casting="unsafe")
