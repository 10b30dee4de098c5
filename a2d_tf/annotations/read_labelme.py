"""LabelMe's JSON, one file for each image.

Polygons, masks and circles are masks. Rectangles are boxes; of a turned one, the box
around it. Shapes of one label and one `group_id` are one instance. A file without
shapes is an annotated frame without instances.

Source: labelme 6.3.1 `_label_file.py`, `utils/shape.py`.
"""

from __future__ import annotations

import base64
import math
import pathlib
import posixpath
from typing import Any

import cv2

from a2d_tf.annotations import frame_names, shapes
from a2d_tf.annotations.container import File, size_of
from a2d_tf.annotations.document import Document, FrameName, Instance, ReadOptions
from a2d_tf.core.checked_json import whole
from a2d_tf.core.errors import MAX_SIDE, quoted
from a2d_tf.data.video_frames import decode_image

_SIDE = whole(1, MAX_SIDE)
_KIND = {
    "shapes": [{"label": str, "shape_type?": (str, None), "points": [[float]]}],
    "imagePath?": (str, None),
    "imageHeight?": (_SIDE, None),
    "imageWidth?": (_SIDE, None),
}

_BOXES = ("rectangle", "oriented_rectangle", "rotation")  # the last is X-AnyLabeling's


def matches(content: Any) -> bool:
    """Return whether a parsed JSON is LabelMe's."""
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read the file of one image: a document of one frame, or of none where no shape
    has an area.

    Raises:
      InputError: the structure is broken, or neither image nor file are named by a
        frame.
    """
    content = file.check(_KIND)
    size = size_of(content, "imageHeight", "imageWidth")
    document = Document(file.path, "labelme")
    grouped: list[tuple[tuple[str, str] | None, Instance]] = []
    for i, shape in enumerate(content["shapes"]):
        where = f"shapes[{i}]"
        with file.at(where, "draw the shape again"):
            kind, count = shape.get("shape_type"), len(shape["points"])
            # X-AnyLabeling writes 4
            corners = 2 if kind == "rectangle" and count != 4 else 4
            box = shapes.spanned(_points(shape, corners)) if kind in _BOXES else None
            parts = () if box else _parts(shape, size)
        if not box and not parts:
            document.left_out[f"shapes of type {quoted(shape['shape_type'])}"] += 1
        else:
            label, group = shape["label"], shape.get("group_id")
            key = None if group is None else (label, str(group))
            grouped.append((key, Instance(label, parts, file.place(where), box=box)))
    if grouped or not content["shapes"]:
        document.add("imagePath", _frame_name(file), size, shapes.join(grouped))
    else:
        document.left_out["frames with no shape that has an area"] += 1
    return [document]


def _frame_name(file: File) -> FrameName | str:
    """Return the frame that an image's path names, relative to the file; else the
    file's own.
    """
    image = file.content.get("imagePath") or file.name
    path = image.replace("\\", "/")
    if not pathlib.PureWindowsPath(image).is_absolute():
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file.name), path))
    return frame_names.of_image(path) or frame_names.of_image(file.name) or image


def _points(shape, count=None):
    """Return the points [x, y] of a shape: so many, or else three or more."""
    points = shape["points"]
    right = len(points) == count if count else len(points) > 2
    if not right or any(len(point) != 2 for point in points):
        raise ValueError(
            f"points: {quoted(points)} must be {count or '3 or more'} points x, y"
        )
    return points


def _parts(shape, size):
    """Return the COCO segmentation of a shape, as `Instance.parts`; () where it has
    no area.
    """
    kind = shape.get("shape_type") or "polygon"
    if kind not in ("polygon", "mask", "circle"):
        return ()
    if kind == "polygon":
        return ([[number for point in _points(shape) for number in point]],)
    (x1, y1), (x2, y2) = _points(shape, 2)
    if kind == "circle":
        radius = math.hypot(x2 - x1, y2 - y1)
        return ([shapes.ellipse(x1, y1, radius, radius)],)
    png = shape.get("mask")  # of 0 and 1
    data = base64.b64decode(png, validate=True) if isinstance(png, str) else b""
    image, _ = decode_image(data, cv2.IMREAD_GRAYSCALE, "mask", "draw it again")
    return (shapes.bitmap(image != 0, int(x1), int(y1), size),)
