"""COCO's run-length encoding of masks. pycocotools decodes it too, but believes any lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from a2d_tf.core.errors import InputError, shown

_MOST_DIGITS = 8  # of a run: 40 bits


def decode_rle(rle: dict, height: int, width: int) -> np.ndarray:
    """Decode the mask of an RLE {'size': [height, width], 'counts': text or list}.

    Returns:
      bool [height, width].

    Raises:
      InputError: malformed or of another size; names no file.
    """
    if rle.get("size") != [height, width]:
        raise InputError(
            f"the RLE's size {shown(rle.get('size'))} is not the image's [height, width] "
            f"[{height}, {width}]; encode the mask at the frame's size"
        )
    runs = runs_of(rle.get("counts"), height * width)
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def runs_of(counts: Any, pixels: int) -> list[int]:
    """Return the run lengths of an RLE's 'counts'.

    Raises:
      InputError: they are damaged, or do not add up to `pixels`; names no file.
    """
    runs = _parse_runs(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise InputError("the RLE's 'counts' are damaged; encode the mask again")
    if sum(runs) != pixels:
        raise InputError(
            f"the RLE's 'counts' add up to {sum(runs)} pixels instead of {pixels}; encode the mask "
            "again"
        )
    return runs


def _parse_runs(text):
    """Run lengths of COCO's compressed RLE, or None.

    Base-32 digits from the lowest on, each a character from '0' on whose bit 32 says that more
    follow; bit 16 of the last is the sign. From the fourth run on it is the difference to the run
    two before.
    """
    try:
        digits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - ord("0")
    except UnicodeEncodeError:
        return None
    if not len(digits):
        return []
    last = np.flatnonzero(digits & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last + 1 - first
    if digits.min() < 0 or digits.max() > 63 or digits[-1] & 32 or lengths.max() > _MOST_DIGITS:
        return None
    shifts = 5 * (np.arange(len(digits)) - np.repeat(first, lengths))
    runs = np.add.reduceat((digits & 31) << shifts, first)
    runs -= (digits[last] >> 4) << 5 * lengths  # the last digit's bit 32 is not set
    for parity in (runs[1::2], runs[2::2]):
        np.cumsum(parity, out=parity)
    return runs.tolist()
