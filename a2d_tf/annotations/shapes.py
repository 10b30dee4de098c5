"""Shapes of annotation tools as COCO segmentations, the instances that they make, and
the way back.

A reader turns each shape into an `Instance` of one part; `join` makes the instances of
a frame.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterable, Sequence

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.document import Instance, Segmentation
from a2d_tf.core.errors import MAX_SIDE, quoted
from a2d_tf.data.segmentations import box_of, encode_mask

_CORNERS = 96  # of an ellipse, whose area is then right to a thousandth
# Pixels by which a simplified outline may deviate: 0.75 straightens steps. At 0.25, for
# parts of fewer pixels than _SMALL, no pixel's centre changes sides.
_ROUGH, _EXACT, _SMALL = 0.75, 0.25, 400


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float, *, angle: float = 0
) -> list[float]:
    """Return the polygon [x, y, ...] of an ellipse about (x, y), turned by radians
    from x to y.
    """
    turn = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    along, across = radius_x * np.cos(turn), radius_y * np.sin(turn)
    xs = x + along * math.cos(angle) - across * math.sin(angle)
    ys = y + along * math.sin(angle) + across * math.cos(angle)
    return np.stack([xs, ys], axis=1).ravel().tolist()


def turned(box: Sequence[float], degrees: float) -> list[float]:
    """Return the box [x, y, width, height] around a box that is turned about its
    centre.
    """
    x, y, width, height = box
    cos, sin = (
        abs(math.cos(math.radians(degrees))),
        abs(math.sin(math.radians(degrees))),
    )
    across, down = width * cos + height * sin, width * sin + height * cos
    return [x + (width - across) / 2, y + (height - down) / 2, across, down]


def bitmap(
    inside: np.ndarray, left: int, top: int, size: tuple[int, int] | None
) -> dict:
    """Return the RLE of a bitmap bool [h, w] at a corner of an image of (height,
    width).

    Raises:
      ValueError: the bitmap leaves the image, or that is of unknown size; names no
        file.
    """
    height, width = inside.shape
    rows, columns = size or (0, 0)
    inside_image = 0 <= left <= columns - width and 0 <= top <= rows - height
    if not inside_image or max(rows, columns) > MAX_SIDE:
        problem = f"a mask of {width}x{height} at x {left}, y {top} exceeds"
        raise ValueError(f"{problem} the image of {columns}x{rows}")
    whole = np.zeros((rows, columns), bool)
    whole[top : top + height, left : left + width] = inside
    return encode_mask(whole)


def join(shapes: Iterable[tuple[tuple | None, Instance]]) -> tuple[Instance, ...]:
    """Join the shapes of a frame that are parts of one instance.

    Args:
      shapes: (group, shape) of each; None is no group.

    Returns:
      The instances in the order of their first parts; action and identity are the
      largest part's. Boxes beside masks of the same instance do not count; boxes alone
      make one around them.

    Raises:
      ValueError: a group joins two actors; names no file.
    """
    groups: dict[Hashable, list[Instance]] = {}  # an index is no group
    for i, (group, shape) in enumerate(shapes):
        parts = groups.setdefault(i if group is None else group, [])
        parts.append(shape)
        first, last = (
            each.actor or each.label.partition("-")[0] for each in (parts[0], shape)
        )
        if first != last:
            named = " ".join(map(str, group or ()))
            raise ValueError(f"{named} joins {quoted(first)} and {quoted(last)}")
    return tuple(
        _whole(parts) if len(parts) > 1 else parts[0] for parts in groups.values()
    )


def area(segmentation: Segmentation) -> float:
    """Return the area of a segmentation in pixels, overlaps of its polygons counted
    twice.
    """
    if isinstance(segmentation, dict):
        return float(rle_tools.area(segmentation))
    outlines = [np.reshape(polygon, (-1, 2)).T for polygon in segmentation]
    return sum(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 for x, y in outlines)


def _whole(parts):
    parts = [part for part in parts if part.parts] or parts
    largest = max(parts, key=_size)
    whole = dataclasses.replace(
        largest, parts=tuple(s for part in parts for s in part.parts)
    )
    if whole.parts:
        return whole
    corners = np.array([part.box for part in parts])
    corners[:, 2:] += corners[:, :2]
    return dataclasses.replace(whole, box=spanned(corners.reshape(-1, 2)))


def _size(shape):
    return sum(map(area, shape.parts)) if shape.parts else shape.box[2] * shape.box[3]


def spanned(points: Sequence[Sequence[float]] | np.ndarray) -> list[float]:
    """Return the box [x, y, width, height] around points (x, y)."""
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    return np.concatenate([low, high - low]).tolist()


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Trace a mask, one polygon a connected part, the largest first.

    Filled again by `decode_mask`, the polygons differ from the mask in pixels at its
    border alone. Pixels that touch at a corner are connected. Annotation tools know no
    holes: a cut of no width, there and back, joins a hole to the outline, and fills no
    pixel.

    Args:
      mask: bool [height, width].

    Returns:
      [[x1, y1, x2, y2, ...], ...] in pixels, in steps of half a pixel, from 0 at the
      left or upper edge of the frame to its width or height; empty for an empty mask.
    """
    if not mask.any():
        return []
    inside, *corner = crop(mask)
    outlines = [_simplified(rings) for rings in _trace(inside)]
    outlines.sort(key=lambda outline: -cv2.contourArea(np.float32(outline)))
    return [(outline + corner).ravel().tolist() for outline in outlines]


def crop(mask: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Cut a mask that is not empty to its box; returns it, and the box's left and
    top.
    """
    top, left, bottom, right = box_of(mask).astype(int).tolist()
    return mask[top:bottom, left:right], left, top


def _trace(mask):
    """The rings [n, 1, 2] of each connected part, its holes behind the outline, in
    half pixels.
    """
    height, width = mask.shape
    grid = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    grid[1::2, 1::2] = mask
    grid = cv2.dilate(grid, np.ones((3, 3), np.uint8))
    rings, links = cv2.findContours(grid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    # of the rings that are holes; -1 of others
    outlines = np.asarray(links)[0, :, 3].tolist()
    parts: dict[int, list] = {
        i: [rings[i]] for i, outline in enumerate(outlines) if outline < 0
    }
    for ring, outline in zip(rings, outlines):
        if outline >= 0:
            parts[outline].append(ring)
    return list(parts.values())


def _simplified(rings):
    """The outline [n, 2] of a part, in pixels, with fewer points and with cuts to
    its holes.
    """
    tolerance = _EXACT if cv2.contourArea(rings[0]) < 4 * _SMALL else _ROUGH
    simple = [cv2.approxPolyDP(ring, 2 * tolerance, True)[:, 0] for ring in rings]
    outline = simple[0] if len(simple[0]) > 2 else rings[0][:, 0]
    return _cut([outline, *(ring for ring in simple[1:] if len(ring) > 2)]) / 2


def _cut(rings):
    """Join an outline and its holes, each by the shortest line between two of their
    points.
    """
    outline, *holes = rings
    for hole in sorted(holes, key=lambda ring: ring[:, 0].min()):
        distances = ((outline[:, None] - hole) ** 2).sum(axis=2)
        i, k = np.unravel_index(distances.argmin(), distances.shape)
        outline = np.concatenate(
            [outline[: i + 1], hole[k:], hole[: k + 1], outline[i:]]
        )
    return outline
