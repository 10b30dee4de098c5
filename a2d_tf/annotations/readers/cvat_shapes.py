"""The shapes of CVAT's XML: masks, ellipses, polygons and boxes.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`.
"""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

from a2d_tf.annotations.documents.instance import Segmentation, number_in_name
from a2d_tf.annotations.readers import shapes
from a2d_tf.annotations.readers.cvat_tasks import integer
from a2d_tf.annotations.readers.shapes import RawShape
from a2d_tf.data.segmentations import decode_rle

Key = tuple[str, int]
"""The group of a shape, or its track if it is in no group."""
WITH_AREA = ("polygon", "mask", "ellipse", "box")
"""Tags of the shapes that have an area."""


def read_shape(
    element: Element,
    label: str,
    key: Key | None,
    where: str,
    size: tuple[int, int] | None,
) -> RawShape:
    """Read a shape of CVAT's XML that has an area: mask, ellipse, polygon or box.

    Args:
      element: the XML element of the shape, whose tag is one of `WITH_AREA`.
      label: the label of the shape, or of its track.
      key: what the parts of one instance have in common: ('group', number) or ('track',
        number); None if the shape is in no group and on no track.
      where: the file and the place in it, for errors.
      size: (height, width) of the frame in pixels; None if unknown.

    Returns:
      the shape with its attributes 'actor', 'action' and 'name', but without a track.

    Raises:
      ValueError: a field is damaged. The message does not name the file.
    """
    attributes = {}
    for attribute in element.findall("attribute"):
        name = attribute.get("name", "").lower()
        attributes[name] = (attribute.text or "").strip()
    part = None
    box = None
    if element.tag == "box":
        box = _box(element)
    else:
        part = _segmentation(element, size)
    return RawShape(
        group=key,
        label=label,
        where=where,
        part=part,
        box=box,
        actor=attributes.get("actor"),
        action=attributes.get("action"),
        name=attributes.get("name"),
        number=number_in_name(attributes.get("name")),
    )


def group_of(element: Element) -> Key | None:
    """Return the group of a shape or a track, whose members are parts of one instance.

    Args:
      element: the XML element of the shape or the track.

    Returns:
      ('group', number of the group); None if it is in no group.

    Raises:
      ValueError: the group is no number. The message does not name the file.
    """
    group = integer(element, "group_id", "0")
    return ("group", group) if group else None


def _segmentation(element: Element, size: tuple[int, int] | None) -> Segmentation:
    """Return the segmentation of a <mask>, <ellipse> or <polygon>.

    Args:
      size: (height, width) of the frame in pixels; None if unknown.
    """
    if element.tag == "mask":
        left = integer(element, "left")
        top = integer(element, "top")
        width = integer(element, "width")
        height = integer(element, "height")
        runs = [int(run) for run in element.get("rle", "").split(",")]
        # The runs go row by row through the box, and COCO's by columns.
        rle = {"size": [width, height], "counts": runs}
        bitmap = decode_rle(rle, width, height).T
        return shapes.rle_of_bitmap(bitmap, left, top, size)
    if element.tag == "ellipse":
        polygon = shapes.ellipse(
            x=float(element.get("cx", "")),
            y=float(element.get("cy", "")),
            radius_x=float(element.get("rx", "")),
            radius_y=float(element.get("ry", "")),
            angle=math.radians(float(element.get("rotation", 0))),
        )
        return [polygon]
    polygon = []
    for point in element.get("points", "").split(";"):
        x, y = point.split(",")
        polygon += [float(x), float(y)]
    return [polygon]


def _box(element: Element) -> list[float]:
    """Return the box [x, y, width, height] of a <box>.

    If it is rotated about its centre, this is the upright box around it.
    """
    left = float(element.get("xtl", ""))
    top = float(element.get("ytl", ""))
    right = float(element.get("xbr", ""))
    bottom = float(element.get("ybr", ""))
    box = [left, top, right - left, bottom - top]
    return shapes.box_around_turned(box, float(element.get("rotation", 0)))
