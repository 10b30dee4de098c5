"""COCO's run-length encoding of masks. pycocotools decodes it too, but believes any lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from a2d_tf.core.errors import InputError, shown


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
    runs, value, shift = [], 0, 0
    for character in text:
        digit = ord(character) - ord("0")
        if not 0 <= digit < 64 or shift > 35:
            return None
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            value -= (digit & 16) << (shift - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs if shift == 0 else None
