"""Shapes of annotation tools as COCO segmentations, and the instances that consist of several."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterable

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.document import Instance, Segmentation

_CORNERS = 96  # of an ellipse, whose area is then right to a thousandth


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float, *, angle: float = 0
) -> list[float]:
    """Return the polygon [x, y, ...] of an ellipse.

    Args:
      x, y: centre.
      radius_x, radius_y: half axes, along x and y before the turn.
      angle: turn in radians, from x to y.
    """
    turn = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    along, across = radius_x * np.cos(turn), radius_y * np.sin(turn)
    xs = x + along * math.cos(angle) - across * math.sin(angle)
    ys = y + along * math.sin(angle) + across * math.cos(angle)
    return np.stack([xs, ys], axis=1).ravel().tolist()


def bitmap(inside: np.ndarray, left: int, top: int, size: tuple[int, int] | None) -> dict:
    """Return the RLE of a bitmap that covers a part of an image.

    Args:
      inside: bool [h, w].
      left, top: the bitmap's corner in the image.
      size: (height, width) of the image; None where it is unknown, which is an error.

    Raises:
      ValueError: the bitmap leaves the image; names no file.
    """
    height, width = inside.shape
    if size is None:
        raise ValueError("a mask, and the file does not give the size of the image")
    if left < 0 or top < 0 or left + width > size[1] or top + height > size[0]:
        raise ValueError(
            f"a mask of {width}x{height} at x {left}, y {top} leaves the image of "
            f"{size[1]}x{size[0]}"
        )
    whole = np.zeros(size, np.uint8, order="F")
    whole[top : top + height, left : left + width] = inside
    return {"size": list(size), "counts": rle_tools.encode(whole)["counts"].decode()}


def join(shapes: Iterable[tuple[tuple | None, Instance]]) -> tuple[Instance, ...]:
    """Join the shapes of a frame that are parts of one instance.

    Args:
      shapes: (group, shape) of each; None is no group.

    Returns:
      The instances in the order of their first parts; names and identity are the largest part's.
    """
    groups: dict[Hashable, list[Instance]] = {}  # an index is no group
    for i, (group, shape) in enumerate(shapes):
        groups.setdefault(i if group is None else group, []).append(shape)
    return tuple(_whole(parts) if len(parts) > 1 else parts[0] for parts in groups.values())


def area(segmentation: Segmentation) -> float:
    """Return the area of a segmentation in pixels, overlaps of its polygons counted twice."""
    if isinstance(segmentation, dict):
        return float(rle_tools.area(segmentation))
    outlines = [np.reshape(polygon, (-1, 2)).T for polygon in segmentation]
    return sum(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 for x, y in outlines)


def _whole(parts):
    largest = max(parts, key=lambda part: sum(map(area, part.parts)))
    return dataclasses.replace(largest, parts=tuple(s for part in parts for s in part.parts))
