"""The label map of a frame from its instances, in NumPy.

Only pixels inside an instance's box are touched, and other threads can run meanwhile,
so this takes less time than `masks.paint_label_map`, whose results it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pycocotools import mask as rle_tools


class MaskPatch(NamedTuple):
    """A mask at the size of the frame, where it is not zero.

    Attributes:
      rows, columns: the window of the frame.
      probabilities: float32, of the window's pixels; those from 1/2 on are the mask.
    """

    rows: slice
    columns: slice
    probabilities: np.ndarray

    def mask(self, height: int, width: int) -> np.ndarray:
        """Return the mask of the whole frame, bool [height, width]."""
        whole = np.zeros((height, width), bool)
        whole[self.rows, self.columns] = self.probabilities >= 0.5
        return whole

    def rle(self, height: int, width: int) -> dict:
        """Return the mask of the whole frame as COCO's compressed RLE.

        Only the columns of the window are read. COCO counts the runs of 0 and 1 in
        turn, column after column: `segmentations.encode_mask`.
        """
        inside = np.zeros((self.probabilities.shape[1], height), bool)
        inside[:, self.rows] = self.probabilities.T >= 0.5
        changes = np.flatnonzero(np.diff(inside.ravel(), prepend=False, append=False))
        changes += self.columns.start * height
        runs = np.diff(changes, prepend=0, append=height * width).tolist()
        if runs[-1] == 0:
            runs = runs[:-1]
        size = [height, width]
        encoded = rle_tools.frPyObjects({"size": size, "counts": runs}, height, width)
        return {"size": size, "counts": encoded["counts"].decode()}


def mask_patches(
    masks: np.ndarray, boxes: np.ndarray, height: int, width: int
) -> Iterator[MaskPatch]:
    """Resample probabilities [N, m, m] into their boxes [N, 4] of a frame, in turn."""
    size = masks.shape[-1]
    rows_of_boxes = _samples(boxes[:, 0], boxes[:, 2], height, size)
    columns_of_boxes = _samples(boxes[:, 1], boxes[:, 3], width, size)
    for mask, rows, columns in zip(masks, rows_of_boxes, columns_of_boxes):
        tall = _resample(mask, rows)
        yield MaskPatch(rows.pixels, columns.pixels, _resample(tall.T, columns).T)


class _Samples(NamedTuple):
    """The pixels of a span and the two cells that each is interpolated from.

    Attributes:
      pixels: the n pixels of the frame.
      before, behind: int [n], the cell before the centre of a pixel and the next one.
      share_before, share_behind: float32 [n, 1], the weights of both.
    """

    pixels: slice
    before: np.ndarray
    behind: np.ndarray
    share_before: np.ndarray
    share_behind: np.ndarray


class LabelPainter:
    """Paints a label map, one instance after another.

    Attributes:
      labels: codes [height, width]; 0 without an instance.
    """

    def __init__(
        self, height: int, width: int, dtype: npt.DTypeLike = np.int32
    ) -> None:
        self.labels: np.ndarray = np.zeros((height, width), dtype)
        self._best_scores = np.zeros((height, width), np.float32)

    def paint(self, patch: MaskPatch, score: np.float32, code: int) -> None:
        """Paint an instance where its mask is, unless a better one is painted there.

        A score <= 0 paints nothing.
        """
        window = patch.rows, patch.columns
        best = self._best_scores[window]
        better = (patch.probabilities >= 0.5) & (score > best)
        np.copyto(best, score, where=better)
        np.copyto(self.labels[window], code, where=better, casting="unsafe")


def _samples(
    first: np.ndarray, last: np.ndarray, length: int, size: int
) -> Iterator[_Samples]:
    """Yield the `_Samples` of each span, where `masks._interpolation` is not zero.

    Args:
      first, last: float32 [N], in pixels.
      length: pixels of the frame.
      size: cells of a span.
    """
    one = np.float32(1)
    half = np.float32(0.5)
    centres = np.arange(length, dtype=np.float32) + half
    first = first[:, None]
    last = last[:, None]
    extent = np.maximum(last - first, np.float32(1e-6))
    position = (centres - first) / extent * np.float32(size) - half
    inside = (centres >= first) & (centres < last)
    position = np.clip(position, np.float32(0), np.float32(size - 1))
    before = np.floor(position)
    share_before = one - (position - before)
    share_behind = one - (before + one - position)
    before = before.astype(np.intp)
    behind = np.minimum(before + 1, size - 1)
    starts = inside.argmax(axis=1).tolist()
    counts = inside.sum(axis=1).tolist()
    for row, (start, count) in enumerate(zip(starts, counts)):
        pixels = slice(start, start + count)
        yield _Samples(
            pixels,
            before=before[row, pixels],
            behind=behind[row, pixels],
            share_before=share_before[row, pixels, None],
            share_behind=share_behind[row, pixels, None],
        )


def _resample(cells: np.ndarray, samples: _Samples) -> np.ndarray:
    """Resample cells [size, n] at samples along the first axis.

    The graph's matrix product is a fused multiply-add: it rounds the first product to
    32 bits, then the sum with the second one, but not the second one itself. A product
    of 32-bit numbers is exact in 64 bits, so the result is equal to the bit.
    """
    cells = np.ascontiguousarray(cells)
    total = (cells[samples.before] * samples.share_before).astype(np.float64)
    total += cells[samples.behind] * samples.share_behind.astype(np.float64)
    return total.astype(np.float32)
