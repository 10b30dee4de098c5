"""Segmentations as COCO has them, polygons or RLE, and their boxes, decoded with checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError
from a2d_tf.core.limits import MAX_OUTLINE
from a2d_tf.data.rle import decode_rle


def decode_mask(segmentation: list | dict, height: int, width: int) -> np.ndarray:
    """Decode a COCO segmentation to a mask, bool [height, width].

    Args:
      segmentation: polygons [[x1, y1, x2, y2, ...], ...] in pixels, or an RLE {'size': [height,
        width], 'counts': text or list}.
      height, width: size of the frame.

    Raises:
      InputError: malformed, of another size, or empty; names no file.
    """
    return decode_parts([segmentation], (height, width), (height, width))


def decode_parts(
    parts: Sequence[list | dict], annotated: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Decode the union of segmentations to a mask, bool [height, width].

    Args:
      parts: segmentations, in pixels of an image of the size `annotated`.
      annotated: (height, width) of that image; (1, 1) for normalised coordinates.
      size: (height, width) of the mask, to which coordinates are scaled, each axis by itself.

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
        return cv2.resize(mask.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) != 0
    if not isinstance(part, list) or not part:
        raise InputError("neither polygons [[x1, y1, x2, y2, ...], ...] nor an RLE; draw it again")
    polygons = _scale(part, annotated, size)
    _check_polygons(polygons, *size)
    return rle_tools.decode(rle_tools.merge(rle_tools.frPyObjects(polygons, *size))).astype(bool)


def _scale(polygons, annotated, size):
    """Scale polygons; malformed ones are left as they are, for `decode_mask` to refuse."""
    if annotated == size:
        return polygons
    (rows, columns), (height, width) = annotated, size
    scaled = []
    for polygon in polygons:
        points = _numbers(polygon)
        if points is None or len(points) % 2:
            return polygons
        scaled.append((points.reshape(-1, 2) * [width / columns, height / rows]).ravel().tolist())
    return scaled


def _check_polygons(polygons, height, width):
    length, limits = 0.0, np.array([width, height])
    for polygon in polygons:
        points = _numbers(polygon)
        if points is None or len(points) < 6 or len(points) % 2:
            raise InputError("a polygon is a list x1, y1, x2, y2, ... of three points or more")
        points = points.reshape(-1, 2)
        # Points slightly outside are clipped; points far outside are in other units.
        if (points < -limits).any() or (points > 2 * limits).any():
            raise InputError(
                f"a polygon leaves the frame of {width}x{height} by more than its size; give pixels"
            )
        length += float(np.hypot(*(points - np.roll(points, 1, axis=0)).T).sum())
    # The outline is traced pixel by pixel, so memory grows with its length.
    if length > min(4 * height * width + 64, MAX_OUTLINE):
        raise InputError("the polygons' outline is longer than all pixels' edges; simplify it")


def decode_box(bbox: Any, mask: np.ndarray) -> np.ndarray:
    """Return a box float32 [4], y1, x1, y2, x2, in pixels, clipped to the frame.

    Args:
      bbox: [x, y, width, height], or None for the box of the mask.
      mask: bool [height, width], not empty.

    Raises:
      InputError: malformed, or outside the frame; names no file.
    """
    if bbox is None:
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return np.array([ys[0], xs[0], ys[-1] + 1, xs[-1] + 1], np.float32)
    numbers = _numbers(bbox)
    if numbers is None or len(numbers) != 4:
        raise InputError("not numbers [x, y, width, height]; correct it or leave it out")
    (x, y, width, height), (rows, columns) = numbers, mask.shape
    box = np.clip([y, x, y + height, x + width], 0, [rows, columns, rows, columns])
    box = box.astype(np.float32)
    if not (box[2:] > box[:2]).all():
        raise InputError(
            f"{bbox} [x, y, width, height] leaves nothing inside the frame of "
            f"{columns}x{rows}; correct it or leave it out"
        )
    return box


def _numbers(values):
    """Return a JSON list of finite numbers as float64 [n]; None if it is something else."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return None
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        return None
    return array if np.isfinite(array).all() else None
