"""LabelMe's JSON, one file for each image.

Shapes are polygons, masks, circles and rectangles; shapes of one label and one `group_id` are one
instance. A file without shapes is an annotated frame without instances.

Source: labelme 6.3.1 `_label_file.py`, `utils/shape.py`.
"""

from __future__ import annotations

import base64
import collections
import math
import pathlib
import posixpath
from typing import Any

import cv2

from a2d_tf.annotations import frame_names, parts, shapes
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.annotations.fields import Fields
from a2d_tf.core.errors import InputError, shown
from a2d_tf.data.frames import claimed_size, decode_image

FORMAT = "labelme"


def matches(content: Any) -> bool:
    """Whether a parsed JSON is LabelMe's."""
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read the file of one image; see `coco.read` for arguments.

    Returns:
      One document of one frame, or of none where no shape has an area.

    Raises:
      InputError: the structure is broken, or neither image nor file are named by a frame.
    """
    fields = Fields(container.locate(name))
    entries = fields.entries(content, "shapes")
    size = fields.size(content, "", "imageHeight", "imageWidth")
    left_out: collections.Counter[str] = collections.Counter()
    grouped: list[tuple[tuple[str, str] | None, Instance]] = []
    for i, shape in enumerate(entries):
        where = f"shapes[{i}]"
        part = _segmentation(fields, shape, where, size)
        if part is None:
            left_out[f"shapes of type {shown(shape.get('shape_type'))}"] += 1
            continue
        label, group = fields.text(shape, "label", where), shape.get("group_id")
        key = None if group is None else (label, str(group))
        grouped.append((key, Instance(label, (part,), where)))
    instances = parts.join(grouped)
    frames: tuple[AnnotatedFrame, ...] = ()
    if instances or not entries:
        found = _frame_name(fields, name, content.get("imagePath"))
        frames = (AnnotatedFrame(found.video, found.number, size, instances, "imagePath"),)
    else:
        left_out["frames with no shape that has an area"] += 1
    explanation = frame_names.OF_IMAGES
    return [Document(fields.path, FORMAT, frames, "names", explanation, left_out=dict(left_out))]


def _frame_name(fields, name, image_path):
    """Return the frame that an image's path names, relative to the file; else the file's own."""
    found = None
    if isinstance(image_path, str):
        path = image_path.replace("\\", "/")
        if not pathlib.PureWindowsPath(image_path).is_absolute():
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        found = frame_names.of_image(path)
    found = found or frame_names.of_image(name)
    if not found:
        problem = f"{shown(image_path)} names no frame of a video; name images <video>/<number>.jpg"
        raise fields.error("imagePath", problem)
    return found


def _segmentation(fields, shape, where, size):
    """Return the COCO segmentation of a shape; None where its type has no area."""
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if kind not in ("polygon", "mask", "circle", "rectangle"):
        return None
    if not isinstance(points, list):
        raise fields.error(f"{where}.points", "missing, or not a list; draw the shape again")
    corners = [fields.numbers(xy, f"{where}.points[{j}]", 2) for j, xy in enumerate(points)]
    if kind == "polygon":
        if len(corners) < 3:
            problem = f"a polygon of {len(corners)} points; draw three or more"
            raise fields.error(f"{where}.points", problem)
        return [[number for xy in corners for number in xy]]
    if len(corners) != 2:
        problem = f"a {kind} has two points, not {len(corners)}; draw it again"
        raise fields.error(f"{where}.points", problem)
    (x1, y1), (x2, y2) = corners
    if kind == "circle":
        radius = math.hypot(x2 - x1, y2 - y1)
        return [shapes.ellipse(x1, y1, radius, radius)]
    if kind == "rectangle":
        return [shapes.rectangle(x1, y1, x2, y2)]
    if size is None:
        raise fields.error("imageHeight", "missing, but a mask needs it; save the file again")
    try:
        box = [int(number) for number in (x1, y1, x2, y2)]
        inside = _decode(shape.get("mask"), box[3] - box[1] + 1, box[2] - box[0] + 1)
        return shapes.bitmap(inside, box[0], box[1], size)
    except InputError as error:
        raise fields.error(f"{where}.mask", str(error)) from error


def _decode(text, height, width):
    """Decode a mask's PNG, whose values are 0 and 1, to bool [height, width]."""
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError) as error:
        raise InputError("no PNG in base64; draw the mask again") from error
    # The size is compared before the image is decoded, which takes as much memory as it claims.
    claimed = claimed_size(data)
    if claimed is None:
        raise InputError("no PNG; draw the mask again")
    if claimed != (height, width):
        raise InputError(
            f"the PNG is {claimed[1]}x{claimed[0]}, but 'points' span {width}x{height}; draw the "
            "mask again"
        )
    image = decode_image(data, cv2.IMREAD_GRAYSCALE, "the PNG", "draw the mask again")
    if image is None:
        raise InputError("a damaged or truncated PNG; draw the mask again")
    return image != 0
