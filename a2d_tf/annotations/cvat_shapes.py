"""Shapes of CVAT's XML as COCO segmentations.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`.
"""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

import numpy as np

from a2d_tf.annotations import shapes
from a2d_tf.annotations.document import Segmentation
from a2d_tf.core.errors import InputError

MASKS = ("polygon", "mask", "ellipse")
"""The elements with an area to fill; a box only bounds one."""

_AGAIN = "export it again"


def segmentation(element: Element, size: tuple[int, int] | None) -> Segmentation:
    """Return the segmentation of one of MASKS, in a frame of (height, width).

    Raises:
      InputError: a field is damaged, or it is a mask and the size is None; names no file.
    """
    try:
        if element.tag == "mask":
            return _mask(element, size)
        if element.tag == "ellipse":
            numbers = [float(element.get(key, "")) for key in ("cx", "cy", "rx", "ry")]
            angle = math.radians(float(element.get("rotation", 0)))
            return [shapes.ellipse(*numbers, angle=angle)]
        points = [point.split(",") for point in element.get("points", "").split(";")]
        return [[float(number) for x, y in points for number in (x, y)]]
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"<{element.tag}> is damaged ({error}); {_AGAIN}") from error


def attributes(element: Element) -> dict[str, str]:
    """Return {name in small letters: text} of the attributes of a shape that are not blank."""
    pairs = ((entry.get("name", ""), entry.text or "") for entry in element.findall("attribute"))
    return {name.lower(): text.strip() for name, text in pairs if text.strip()}


def _mask(element, size):
    """The RLE of a <mask>, whose runs go row by row through its box, background first."""
    if size is None:
        raise InputError("a mask, but no size of the frames; export as 'CVAT for images 1.1'")
    left, top, width, height = (
        int(element.get(key, "")) for key in ("left", "top", "width", "height")
    )
    runs = [int(run) for run in element.get("rle", "").split(",")]
    if min(runs) < 0 or min(width, height) < 1 or sum(runs) != width * height:
        raise InputError(f"the runs of 'rle' do not fill its box of {width}x{height}; {_AGAIN}")
    if width > size[1] or height > size[0]:
        raise InputError(f"the box of {width}x{height} is larger than the frame; {_AGAIN}")
    inside = np.arange(len(runs)) % 2 == 1
    return shapes.bitmap(np.repeat(inside, runs).reshape(height, width), left, top, size)
