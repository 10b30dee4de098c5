"""Masks and label maps of a frame in NumPy: the pixels of `masks.paste` and `masks.paint`.

Only pixels inside an instance's box are touched, and other threads can run meanwhile. The
operations on a pixel are those of the graph in its order, rounded as processors with fused
multiplication and addition do, so that the results are equal to the bit there. Elsewhere a
probability may differ in its last bits (on a GPU by what its matrix products round).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pycocotools import mask as rle_tools


class Patch(NamedTuple):
    """A mask at the size of the frame, where it is not zero.

    Attributes:
      rows, columns: the window of the frame.
      values: float32, the probabilities of the window's pixels; those from 1/2 on are the mask.
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
        """Return the mask of the whole frame as COCO's compressed RLE, reading the window alone.

        COCO counts the runs of 0 and 1 in turn, column after column: `segmentations.encode_mask`.
        """
        rows, columns = self.values.shape
        bounded = np.zeros(1 + columns * (rows + 1), bool)  # a pixel outside before each column
        bounded[1:].reshape(columns, rows + 1)[:, :rows] = self.values.T >= 0.5
        changes = np.flatnonzero(bounded[1:] != bounded[:-1])
        column, row = np.divmod(changes, rows + 1)
        changes = (self.columns.start + column) * height + self.rows.start + row
        if rows == height:  # a run that ends at the bottom may go on at the top of the next column
            once = np.unique(changes, return_counts=True)
            changes = once[0][once[1] == 1]
        runs = np.diff(np.concatenate([[0], changes, [height * width]])).tolist()
        size = [height, width]
        counts = runs if runs[-1] else runs[:-1]
        encoded = rle_tools.frPyObjects({"size": size, "counts": counts}, height, width)
        return {"size": size, "counts": encoded["counts"].decode()}


def paste(masks: np.ndarray, boxes: np.ndarray, height: int, width: int) -> Iterator[Patch]:
    """Resample masks into their boxes of a frame, one after another.

    Args:
      masks: float32 [N, m, m], probabilities.
      boxes: float32 [N, 4], y1, x1, y2, x2 in pixels of the frame.
      height, width: of the frame.
    """
    size = masks.shape[-1]
    along_y = _interpolation(boxes[:, 0], boxes[:, 2], height, size)
    along_x = _interpolation(boxes[:, 1], boxes[:, 3], width, size)
    for mask, (rows, *y), (columns, *x) in zip(masks, along_y, along_x):
        yield Patch(rows, columns, _resample(_resample(mask, *y).T, *x).T)


def _interpolation(first, last, length, size):
    """Yield of each span its pixels and their samples: where `masks._interpolation` is not zero.

    Args:
      first, last: float32 [N], in pixels.

    Yields:
      the pixels as a slice; of each the cell before its centre and the one behind it; the weights
      of both, float32 [n, 1].
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
        yield span, before[row, span], behind[row, span], *(x[row, span, None] for x in shares)


def _resample(cells, before, behind, share, other):
    """Resample [size, n] to [length, n]; the other arguments are of `_interpolation`.

    A matrix product of the graph adds the second product to the first, rounded, without rounding
    it by itself, as 64 bits do here.
    """
    cells = np.ascontiguousarray(cells)
    total = (cells[before] * share).astype(np.float64)
    total += cells[behind] * other.astype(np.float64)
    return total.astype(np.float32)


class Canvas:
    """A label map that is painted one instance after another.

    Args:
      height, width: its size.
      per_pixel: a pixel goes to the instance of highest score times mask, not of highest score.
      dtype: of the codes.

    Attributes:
      labels: codes [height, width]; 0 without an instance.
    """

    def __init__(
        self, height: int, width: int, per_pixel: bool = False, dtype: npt.DTypeLike = np.int32
    ):
        self.labels: np.ndarray = np.zeros((height, width), dtype)
        self._best = np.zeros((height, width), np.float32)
        self._per_pixel = per_pixel

    def add(self, patch: Patch, score: np.float32, code: int) -> None:
        """Paint an instance where its mask is, and no better one. A score <= 0 paints nothing."""
        window = patch.rows, patch.columns
        value: np.ndarray = np.asarray(score, np.float32)
        if self._per_pixel:
            value = patch.values * value
        best = self._best[window]
        better = (patch.values >= 0.5) & (value > best)
        np.copyto(best, value, where=better)
        np.copyto(self.labels[window], code, where=better, casting="unsafe")
