"""Instances that tools keep in parts: shapes of one group."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable

import numpy as np

from a2d_tf.annotations.document import Instance, Segmentation
from a2d_tf.core.errors import InputError, shown
from a2d_tf.data.segmentations import runs_of


def join(shapes: Iterable[tuple[Hashable, Instance]]) -> tuple[Instance, ...]:
    """Join the shapes of a frame that are parts of one instance.

    Args:
      shapes: (group, shape) of each; a group that is 0 or None holds only that shape.

    Returns:
      The instances in the order of their first parts; names and identity are the largest part's.

    Raises:
      InputError: a part is malformed; names its place, no file.
    """
    groups: dict[Hashable, list[Instance]] = {}
    for i, (group, shape) in enumerate(shapes):
        groups.setdefault(("group", group) if group else ("shape", i), []).append(shape)
    return tuple(_whole(parts) if len(parts) > 1 else parts[0] for parts in groups.values())


def area(segmentation: Segmentation) -> float:
    """Return the area of a segmentation in pixels, overlaps of its polygons counted twice.

    Raises:
      InputError: malformed; names no file.
    """
    try:
        if isinstance(segmentation, dict):
            height, width = segmentation["size"]
            return float(sum(runs_of(segmentation["counts"], height * width)[1::2]))
        outlines = [np.reshape(np.array(polygon, np.float64), (-1, 2)) for polygon in segmentation]
        return float(sum(_shoelace(*outline.T) for outline in outlines))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{shown(segmentation)} is no polygon and no RLE; draw it again"
        ) from error


def _whole(parts):
    areas = []
    for part in parts:
        try:
            areas.append(sum(map(area, part.parts)))
        except InputError as error:
            raise InputError(f"{part.where}: {error}") from error
    segmentations = tuple(segmentation for part in parts for segmentation in part.parts)
    return dataclasses.replace(parts[int(np.argmax(areas))], parts=segmentations, box=None)


def _shoelace(x, y):
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
