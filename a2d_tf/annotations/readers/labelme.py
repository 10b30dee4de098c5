"""Reader of LabelMe's JSON, one file for each image.

Polygons, masks and circles are masks. Rectangles are boxes; a rotated one is the
upright box around it. Shapes of one label and one `group_id` are one instance. A file
without shapes is an annotated frame without instances.

Source: labelme 6.3.1 `_label_file.py`, `utils/shape.py`.
"""

from __future__ import annotations

import base64
import math
import pathlib
import posixpath
from typing import Any

import cv2

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.instance import Segmentation
from a2d_tf.annotations.documents.numbering import FrameName
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers import shapes
from a2d_tf.annotations.readers.container import File, size_of
from a2d_tf.core.checked_json import whole
from a2d_tf.core.errors import quoted
from a2d_tf.core.limits import MAX_SIDE
from a2d_tf.data.decoding.image_files import decode_image

_SIDE = whole(1, MAX_SIDE)
_LABELME = {
    "shapes": [{"label": str, "shape_type?": (str, None), "points": [[float]]}],
    "imagePath?": (str, None),
    "imageHeight?": (_SIDE, None),
    "imageWidth?": (_SIDE, None),
}

_BOXES = ("rectangle", "oriented_rectangle", "rotation")  # the last is X-AnyLabeling's


def matches(content: Any) -> bool:
    """Return whether a parsed JSON is LabelMe's: it has `shapes` and `imagePath`.

    Args:
      content: the value that was parsed from a .json file.
    """
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read the file of LabelMe for one image.

    Args:
      file: the file.
      options: ignored, since the file says all.

    Returns:
      a list of one document with one frame; without frames if there are shapes, but
      none has an area.

    Raises:
      InputError: the structure is broken, or neither the image's name nor the file's
        has a frame number.
    """
    content = file.check(_LABELME)
    size = size_of(content, "imageHeight", "imageWidth")
    document = Document(file.path, "labelme")
    raw_shapes = []
    for i, shape in enumerate(content["shapes"]):
        where = f"shapes[{i}]"
        box = None
        part: Segmentation | None = None
        with file.at(where, "draw the shape again"):
            if shape.get("shape_type") in _BOXES:
                box = shapes.box_around(_points(shape, _corner_count(shape)))
            else:
                part = _segmentation(shape, size)
        if box is None and part is None:
            document.left_out[f"shapes of type {quoted(shape['shape_type'])}"] += 1
            continue
        label = shape["label"]
        group_id = shape.get("group_id")
        group = None if group_id is None else (label, str(group_id))
        raw_shape = shapes.RawShape(
            group,
            label,
            file.place(where),
            part=part,
            box=box,
            number=group_id if type(group_id) is int else None,
        )
        raw_shapes.append(raw_shape)
    if raw_shapes or not content["shapes"]:
        instances = shapes.join(raw_shapes)
        document.add("imagePath", _frame_name(file), size, instances)
    else:
        document.left_out["frames with no shape that has an area"] += 1
    return [document]


def _frame_name(file: File) -> FrameName:
    """Return the frame that the path of the image names, or else the path of the file.

    The path of the image is relative to the file.

    Raises:
      InputError: neither names a frame.
    """
    image = file.content.get("imagePath") or file.name
    path = image.replace("\\", "/")
    if not pathlib.PureWindowsPath(image).is_absolute():
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file.name), path))
    name = frame_names.parse_image(path) or frame_names.parse_image(file.name)
    if name is None:
        raise file.error("imagePath", frame_names.not_a_frame_message(image))
    return name


def _corner_count(shape: dict[str, Any]) -> int:
    """Return the number of points of a box: 2 for LabelMe's rectangle, otherwise 4."""
    is_labelmes = shape["shape_type"] == "rectangle" and len(shape["points"]) != 4
    return 2 if is_labelmes else 4  # X-AnyLabeling always writes 4


def _points(shape: dict[str, Any], count: int | None = None) -> list[list[float]]:
    """Return the points [x, y] of a shape.

    Raises:
      ValueError: there are not `count` points, or if that is None, fewer than three; or
        a point does not have two coordinates. The message does not name the file.
    """
    points = shape["points"]
    is_right_count = len(points) > 2 if count is None else len(points) == count
    if not is_right_count or any(len(point) != 2 for point in points):
        raise ValueError(
            f"points: {quoted(points)} must be {count or '3 or more'} points x, y"
        )
    return points


def _segmentation(
    shape: dict[str, Any], size: tuple[int, int] | None
) -> Segmentation | None:
    """Return the segmentation of a shape; None if it has no area.

    Args:
      size: (height, width) of the image in pixels; None if unknown.

    Raises:
      ValueError: a point or the mask is broken. The message does not name the file.
    """
    kind = shape.get("shape_type") or "polygon"
    if kind == "polygon":
        polygon: list[float] = []
        for point in _points(shape):
            polygon.extend(point)
        return [polygon]
    if kind not in ("mask", "circle"):
        return None
    (x1, y1), (x2, y2) = _points(shape, 2)
    if kind == "circle":
        radius = math.hypot(x2 - x1, y2 - y1)
        return [shapes.ellipse(x1, y1, radius, radius)]
    png = shape.get("mask")  # of 0 and 1, in base64
    data = base64.b64decode(png, validate=True) if isinstance(png, str) else b""
    image, _ = decode_image(data, cv2.IMREAD_GRAYSCALE, "mask", "draw it again")
    return shapes.rle_of_bitmap(image != 0, int(x1), int(y1), size)
