"""Decode COCO's segmentations (polygons or RLE) and boxes, and check them."""

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
    """Encode a mask as COCO's compressed RLE (run-length encoding), for JSON files.

    Args:
      mask: bool [H, W].

    Returns:
      {"size": [H, W], "counts": COCO's compressed text}.
    """
    rle = rle_tools.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": rle["counts"].decode()}


def decode_mask(segmentation: list | dict, height: int, width: int) -> np.ndarray:
    """Decode a COCO segmentation to a mask of the same image, bool [height, width].

    Args:
      segmentation: polygons [[x1, y1, x2, y2, ...], ...], or an RLE {'size': [height,
        width], 'counts': text or list}; coordinates are pixels of the mask.
      height, width: size of the mask, pixels.

    Raises:
      InputError: the segmentation is malformed, lies far outside, or has another size,
        or the mask is empty. The message names no file.
    """
    return decode_parts([segmentation], (height, width), (height, width))


def decode_parts(
    parts: Sequence[list | dict], annotated: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Decode the union of segmentations to a mask, bool [height, width].

    Args:
      parts: segmentations in pixels of the annotated image. Each is a list of polygons,
        [[x1, y1, x2, y2, ...], ...], or an RLE, {'size': [height, width], 'counts':
        text or list}.
      annotated: (height, width) of the annotated image; (1, 1) if coordinates are
        shares of the image's size.
      size: (height, width) of the mask. Height and width are scaled separately.

    Raises:
      InputError: a segmentation is malformed or of another size, or the mask is empty.
        The message names no file.
    """
    mask = np.logical_or.reduce([_decode(part, annotated, size) for part in parts])
    if not mask.any():
        raise InputError("the mask is empty; draw it, or remove the annotation")
    return mask


def _decode(part: Any, annotated: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Decode a segmentation as `decode_parts` does, to a mask that may be empty."""
    if isinstance(part, dict):
        mask = decode_rle(part, *annotated)
        if annotated == size:
            return mask
        return _resize_mask(mask, size)
    if not isinstance(part, list) or not part:
        part = [part]  # refused below, because it is no polygon
    x_and_y_scale = np.divide(size, annotated)[::-1]
    polygons = []
    for polygon in part:
        numbers = _numbers(polygon)
        if len(numbers) < 6 or len(numbers) % 2:
            raise InputError(
                "a polygon must be a list x1, y1, x2, y2, ... of three or more points"
            )
        points = numbers.reshape(-1, 2) * x_and_y_scale
        if _is_far(points, size[::-1]):
            raise InputError(
                f"a polygon lies far outside the frame, {size[1]}x{size[0]} pixels"
            )
        polygons.append(points.ravel().tolist())
    rle = rle_tools.merge(rle_tools.frPyObjects(polygons, *size))
    return rle_tools.decode(rle).astype(bool)


def _resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a mask to (height, width); at least a pixel remains of an instance."""
    resized = cv2.resize(
        np.uint8(mask), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    resized = resized.astype(bool)
    if mask.any() and not resized.any():  # the instance lies between the sampled pixels
        row, column = np.argwhere(mask)[0] * size // mask.shape
        resized[row, column] = True
    return resized


def box_of(mask: np.ndarray) -> np.ndarray:
    """Return the smallest box around a mask.

    Args:
      mask: bool [height, width], with at least one pixel that is set.

    Returns:
      float32 [4], (y1, x1, y2, x2) in pixels; the row y2 and the column x2 lie outside.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], np.float32)


def decode_box(
    bbox: Any, annotated: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Decode a COCO box, and clip it to the frame.

    Args:
      bbox: [x, y, width, height] in pixels of the annotated image.
      annotated: (height, width) of the annotated image.
      size: (height, width) of the frame, to which the box is scaled.

    Returns:
      float32 [4], (y1, x1, y2, x2) in pixels of the frame.

    Raises:
      InputError: the box is malformed, in other units or outside the frame. The message
        names no file.
    """
    numbers = _numbers(bbox)
    if len(numbers) == 4:
        x, y, width, height = numbers
        corners = np.array([[y, x], [y + height, x + width]])
        corners = corners * np.divide(size, annotated)
        box = np.clip(corners, 0, size).astype(np.float32)
        has_area = (box[1] > box[0]).all()
        # A box inside the first pixel was written in shares of the frame.
        is_in_pixels = corners.max() > 1
        if has_area and is_in_pixels and not _is_far(corners, size):
            return box.ravel()
    rows, columns = size
    raise InputError(
        f"{quoted(bbox)} is not [x, y, width, height] in a frame of {columns}x{rows}"
        " pixels; use pixels, correct it or remove it"
    )


def _is_far(points: np.ndarray, size: Sequence[int]) -> bool:
    """Return whether a point is so far outside the frame that its unit must be wrong.

    Args:
      points: [N, 2], in the order of `size`.
      size: size of the frame on both axes.
    """
    is_before = points < np.negative(size)
    is_behind = points > 2 * np.array(size)
    return bool(is_before.any() or is_behind.any())


def _numbers(values: Any) -> np.ndarray:
    """Return a JSON list of finite numbers as float64 [n]; [0] for anything else."""
    with contextlib.suppress(ValueError):
        check_json(values, [float])
        return np.array(values, np.float64)
    return np.zeros(0)


def decode_rle(rle: dict, height: int, width: int) -> np.ndarray:
    """Decode COCO's RLE (run-length encoding) to a mask, bool [height, width].

    Args:
      rle: {'size': [height, width], 'counts': COCO's compressed text, or a list of run
        lengths}. Runs go down the columns, and the first is outside the instance.
      height, width: size that the RLE must have, pixels.

    Raises:
      InputError: the RLE is damaged or has another size.
    """
    if rle.get("size") != [height, width]:
        problem = f"the RLE's size {quoted(rle.get('size'))} is not {[height, width]}"
        raise InputError(f"{problem}; encode the mask at the frame's size")
    runs = runs_of(rle.get("counts"), height * width)
    is_inside = np.arange(len(runs)) % 2 == 1  # runs alternate, outside first
    return np.repeat(is_inside, runs).reshape(width, height).T


def runs_of(counts: Any, pixels: int) -> list[int]:
    """Return the run lengths of an RLE, in pixels.

    Runs alternate between outside and inside of the instance; the first is outside.

    Args:
      counts: 'counts' of the RLE: COCO's compressed text, or a list of run lengths.
      pixels: number of pixels of the mask.

    Raises:
      InputError: `counts` is malformed, or its runs do not add up to `pixels`.
    """
    runs = counts
    if isinstance(counts, str):
        runs = _parse_runs(counts)
    are_lengths = isinstance(runs, list)
    are_lengths = are_lengths and all(type(run) is int and run >= 0 for run in runs)
    if not are_lengths or sum(runs) != pixels:
        raise InputError(
            f"the RLE's 'counts' are corrupt, or do not add up to {pixels} pixels;"
            " encode the mask again"
        )
    return runs


def _parse_runs(text: str) -> list[int] | None:
    """Return the run lengths of COCO's compressed RLE; None if it is malformed.

    A number is written in base 32, its lowest digit first, one character for each
    digit. The character is '0' plus the digit, plus 32 if more digits follow. If the
    last digit is 16 or more, the number is negative. From the fourth run on, the number
    is the difference from the run before the previous one.
    """
    runs: list[int] = []
    run = 0
    shift = 0
    for letter in text:
        digit = ord(letter) - ord("0")
        if not 0 <= digit < 64:
            return None
        run |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            run -= (digit & 16) << (shift - 4)
            if len(runs) > 2:
                run += runs[-2]
            runs.append(run)
            run = 0
            shift = 0
    return runs
