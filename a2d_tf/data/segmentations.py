"""Segmentations as COCO has them, polygons or RLE, and their boxes, decoded with
checks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.checked_json import check_json
from a2d_tf.core.errors import InputError, quoted


def encode_mask(mask: np.ndarray) -> dict:
    """Encode a mask bool [H, W] as COCO's compressed RLE: {"size": [H, W], "counts":
    text}.
    """
    rle = rle_tools.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def decode_mask(segmentation: list | dict, height: int, width: int) -> np.ndarray:
    """Decode a COCO segmentation to a mask, bool [height, width]; as `decode_parts`."""
    return decode_parts([segmentation], (height, width), (height, width))


def decode_parts(
    parts: Sequence[list | dict], annotated: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Decode the union of segmentations to a mask, bool [height, width].

    Args:
      parts: segmentations, in pixels of an image of the size `annotated`: polygons
        [[x1, y1, x2, y2, ...], ...] or RLEs {'size': [height, width], 'counts': text or
        list}.
      annotated: (height, width) of that image; (1, 1) for normalised coordinates.
      size: (height, width) of the mask, to which coordinates are scaled, each axis by
        itself.

    Raises:
      InputError: malformed, of another size, or empty; names no file.
    """
    mask = np.logical_or.reduce([_decode(part, annotated, size) for part in parts])
    if not mask.any():
        raise InputError("the mask is empty; draw it, or remove the annotation")
    return mask


def _decode(part, annotated, size):
    if isinstance(part, dict):
        mask = decode_rle(part, *annotated)
        if annotated == size:
            return mask
        scaled = cv2.resize(
            np.uint8(mask), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT
        )
        scaled = scaled.astype(bool)
        if mask.any() and not scaled.any():  # it lies between the pixels that are taken
            row, column = np.argwhere(mask)[0] * size // annotated
            scaled[row, column] = True
        return scaled
    scale, polygons = np.divide(size, annotated)[::-1], []
    for polygon in part if isinstance(part, list) and part else [part]:
        numbers = _numbers(polygon)
        if len(numbers) < 6 or len(numbers) % 2:
            raise InputError(
                "a polygon must be a list x1, y1, x2, y2, ... of three or more points"
            )
        points = numbers.reshape(-1, 2) * scale
        if _is_far(points, size[::-1]):
            raise InputError(
                f"a polygon lies far outside the frame, {size[1]}x{size[0]} pixels"
            )
        polygons.append(points.ravel().tolist())
    return rle_tools.decode(
        rle_tools.merge(rle_tools.frPyObjects(polygons, *size))
    ).astype(bool)


def box_of(mask: np.ndarray) -> np.ndarray:
    """Return the box float32 [4], y1, x1, y2, x2, of a mask bool [height, width],
    not empty.
    """
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([ys[0], xs[0], ys[-1] + 1, xs[-1] + 1], np.float32)


def decode_box(
    bbox: Any, annotated: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Return a box float32 [4], y1, x1, y2, x2, in pixels, clipped to the frame.

    Args:
      bbox: [x, y, width, height], in pixels of an image of the size `annotated`.
      annotated, size: as of `decode_parts`.

    Raises:
      InputError: malformed, in other units, or outside the frame; names no file.
    """
    numbers, (rows, columns) = _numbers(bbox), size
    if len(numbers) == 4:
        x, y, width, height = numbers
        corners = np.array([[y, x], [y + height, x + width]]) * np.divide(
            size, annotated
        )
        box = np.clip(corners, 0, size).astype(np.float32)
        # A box inside the first pixel is given in shares of the frame.
        if (box[1] > box[0]).all() and corners.max() > 1 and not _is_far(corners, size):
            return box.ravel()
    problem = (
        f"{quoted(bbox)} is not [x, y, width, height] in a frame of {columns}x{rows}"
        " pixels"
    )
    raise InputError(f"{problem}; use pixels, correct it or remove it")


def _is_far(points, size):
    """Whether a point is so far outside that it is in other units; nearer ones are
    clipped.
    """
    return (points < np.negative(size)).any() or (points > 2 * np.array(size)).any()


def _numbers(values):
    """Return a JSON list of finite numbers as float64 [n]; none if it is something
    else.
    """
    with contextlib.suppress(ValueError):
        check_json(values, [float])
        return np.array(values, np.float64)
    return np.zeros(0)


def decode_rle(rle: dict, height: int, width: int) -> np.ndarray:
    """Decode an RLE to bool [height, width]; InputError where it is damaged or of
    another size.
    """
    if rle.get("size") != [height, width]:
        problem = f"the RLE's size {quoted(rle.get('size'))} is not {[height, width]}"
        raise InputError(f"{problem}; encode the mask at the frame's size")
    runs = runs_of(rle.get("counts"), height * width)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def runs_of(counts: Any, pixels: int) -> list[int]:
    """Return the run lengths of an RLE's 'counts'; InputError unless they add up to
    `pixels`.
    """
    runs = _parse_runs(counts) if isinstance(counts, str) else counts
    whole = isinstance(runs, list) and all(
        type(run) is int and run >= 0 for run in runs
    )
    if not whole or sum(runs) != pixels:
        problem = f"the RLE's 'counts' are corrupt, or do not add up to {pixels} pixels"
        raise InputError(f"{problem}; encode the mask again")
    return runs


def _parse_runs(text):
    """Run lengths of COCO's compressed RLE, or None.

    Base-32 digits from the lowest on, each a character from '0' on whose bit 32 says
    that more follow; bit 16 of the last is the sign. From the fourth run on it is the
    difference to the run two before.
    """
    runs: list[int] = []
    run = shift = 0
    for letter in text:
        digit = ord(letter) - ord("0")
        if not 0 <= digit < 64:
            return None
        run |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            run -= (digit & 16) << shift - 4
            runs.append(run + (runs[-2] if len(runs) > 2 else 0))
            run, shift = 0, 0
    return runs
