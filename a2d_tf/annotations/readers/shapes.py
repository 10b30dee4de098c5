"""Shapes of annotation tools, and the instances that they are parts of.

A reader turns each shape of a frame into a `RawShape`; `join` makes instances of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.documents.instance import Instance, Segmentation
from a2d_tf.core.errors import quoted
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.segmentations import encode_mask

_CORNERS = 96  # of an ellipse, whose area is then right to a thousandth


def ellipse(
    x: float, y: float, radius_x: float, radius_y: float, *, angle: float = 0
) -> list[float]:
    """Return the polygon of an ellipse: 96 corners [x1, y1, x2, y2, ...] in pixels.

    Args:
      x, y: the centre in pixels.
      radius_x, radius_y: the half axes in pixels.
      angle: the rotation from the x axis to the y axis, in radians.
    """
    directions = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    along = radius_x * np.cos(directions)
    across = radius_y * np.sin(directions)
    xs = x + along * math.cos(angle) - across * math.sin(angle)
    ys = y + along * math.sin(angle) + across * math.cos(angle)
    return np.stack([xs, ys], axis=1).ravel().tolist()


def box_around_turned(box: Sequence[float], degrees: float) -> list[float]:
    """Return the upright box [x, y, width, height] around a rotated box, in pixels.

    Args:
      box: [x, y, width, height] in pixels, before it is rotated about its centre.
      degrees: the rotation in degrees; its direction makes no difference.
    """
    x, y, width, height = box
    cos = abs(math.cos(math.radians(degrees)))
    sin = abs(math.sin(math.radians(degrees)))
    outer_width = width * cos + height * sin
    outer_height = width * sin + height * cos
    return [
        x + (width - outer_width) / 2,
        y + (height - outer_height) / 2,
        outer_width,
        outer_height,
    ]


def box_around(points: Sequence[Sequence[float]] | np.ndarray) -> list[float]:
    """Return the smallest box [x, y, width, height] that contains all points.

    Args:
      points: the (x, y) of each point, in pixels.
    """
    low = np.min(points, axis=0)
    high = np.max(points, axis=0)
    return np.concatenate([low, high - low]).tolist()


def rle_of_bitmap(
    bitmap: np.ndarray, left: int, top: int, image_size: tuple[int, int] | None
) -> dict:
    """Return the mask of a whole image, in COCO's RLE, from the part around the object.

    Args:
      bitmap: bool [height, width], the part of the mask around the object.
      left, top: the position of the bitmap's upper left corner in the image, in pixels.
      image_size: (height, width) of the image in pixels; None if it is unknown.

    Raises:
      ValueError: the bitmap exceeds the image, or the size of the image is unknown or
        too large. The message does not name the file.
    """
    height, width = bitmap.shape
    rows, columns = image_size or (0, 0)
    is_inside = 0 <= left <= columns - width and 0 <= top <= rows - height
    if not is_inside or max(rows, columns) > MAX_SIDE:
        problem = f"a mask of {width}x{height} at x {left}, y {top} exceeds"
        raise ValueError(f"{problem} the image of {columns}x{rows}")
    mask = np.zeros((rows, columns), bool)
    mask[top : top + height, left : left + width] = bitmap
    return encode_mask(mask)


def segmentation_area(segmentation: Segmentation) -> float:
    """Return the area of a segmentation in square pixels.

    Args:
      segmentation: COCO's polygons or RLE. The overlap of two polygons counts twice.
    """
    if isinstance(segmentation, dict):
        return float(rle_tools.area(segmentation))
    total = 0.0
    for polygon in segmentation:
        x, y = np.reshape(polygon, (-1, 2)).T
        total += abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    return total


@dataclasses.dataclass(frozen=True)
class RawShape:
    """A shape as a tool stores it: a whole instance, or a part of one.

    `join` makes instances of the shapes of a frame.

    Attributes:
      group: a value that all parts of an instance have; None if the shape is the only
        part.
      label: the tool's name of the class: an actor, or 'actor-action'.
      where: the file and the place in it, for errors.
      part: the segmentation; None for a box.
      box: [x, y, width, height] in pixels; None for a segmentation.
      actor, action: the values of the attributes 'actor' and 'action'; None if the tool
        has no such attribute.
      track: the number of the track in the file; None if the shape is on no track.
      name: the name of the individual; None if it has none.
      number: the number by which the user knows the individual; None if there is none.
    """

    group: tuple | None
    label: str
    where: str
    part: Segmentation | None = None
    box: list[float] | None = None
    actor: str | None = None
    action: str | None = None
    track: int | None = None
    name: str | None = None
    number: int | None = None

    def area(self) -> float:
        """Return the area in square pixels of the segmentation, or else of the box."""
        if self.part is not None:
            return segmentation_area(self.part)
        assert self.box is not None
        return self.box[2] * self.box[3]


def join(shapes: Iterable[RawShape]) -> tuple[Instance, ...]:
    """Make instances of the shapes of a frame, joining the parts of each instance.

    Args:
      shapes: the shapes of the frame. Those of one `group` are one instance.

    Returns:
      the instances in the order of their first parts. Action and track are those of the
      largest part, name and number those of the first part with a name. If parts have
      masks, boxes of other parts do not count; if all are boxes, the instance has the
      box around them.

    Raises:
      ValueError: a group joins two actors or two names. The message does not name the
        file.
    """
    groups: dict[Hashable, list[RawShape]] = {}
    for i, shape in enumerate(shapes):
        key = i if shape.group is None else shape.group  # no group is an int
        parts = groups.setdefault(key, [])
        parts.append(shape)
        _check_alike(shape.group, _actor(parts[0]), _actor(shape))
        for part in parts:
            if part.name and shape.name:
                _check_alike(shape.group, part.name, shape.name)
    return tuple(_join_group(parts) for parts in groups.values())


def _check_alike(group: tuple | None, name: str, other: str) -> None:
    """Raise ValueError if two parts of a group have different names or actors."""
    if name != other:
        group_name = " ".join(map(str, group or ()))
        raise ValueError(f"{group_name} joins {quoted(name)} and {quoted(other)}")


def _actor(shape: RawShape) -> str:
    """Return the actor of a shape, which may stand in a label 'actor-action'."""
    return shape.actor or shape.label.partition("-")[0]


def _join_group(shapes: Sequence[RawShape]) -> Instance:
    """Return the instance that consists of some shapes."""
    with_masks = []
    parts: list[Segmentation] = []
    for shape in shapes:
        if shape.part is not None:
            with_masks.append(shape)
            parts.append(shape.part)
    largest = shapes[0]
    box = largest.box
    if len(shapes) > 1:
        largest = max(with_masks or shapes, key=RawShape.area)
        box = None if with_masks else _box_around_boxes(shapes)
    named = largest
    for shape in shapes:
        if shape.name:
            named = shape
            break
    return Instance(
        label=largest.label,
        parts=tuple(parts),
        where=largest.where,
        actor=largest.actor,
        action=largest.action,
        track=largest.track,
        box=box,
        name=named.name,
        number=named.number,
    )


def _box_around_boxes(shapes: Sequence[RawShape]) -> list[float]:
    """Return the box around the boxes of shapes."""
    corners = np.array([shape.box for shape in shapes])
    corners[:, 2:] += corners[:, :2]
    return box_around(corners.reshape(-1, 2))
