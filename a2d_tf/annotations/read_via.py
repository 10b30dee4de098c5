"""The VGG Image Annotator's JSON: an export of annotations, or a saved project; VIA 1 and 2.

Regions have the attributes 'actor' and 'action', or one that names the class. VIA lists all images
that were opened, so an image without regions need not have been annotated.

Source: `via.js`, versions 1.0 and 2.0.
"""

from __future__ import annotations

import collections
from typing import Any

from a2d_tf.annotations import frame_names, shapes
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.annotations.fields import Fields, is_number
from a2d_tf.core.errors import shown

FORMAT = "via"

_PROJECT = "_via_img_metadata"
_CLASSES = ("label", "class", "category", "name", "type")


def matches(content: Any) -> bool:
    """Whether a parsed JSON is VIA's."""
    if not isinstance(content, dict):
        return False
    if _PROJECT in content:
        return True
    return bool(content) and all(
        isinstance(entry, dict) and {"filename", "regions"} <= set(entry)
        for entry in content.values()
    )


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read an export or a project; see `coco.read` for arguments.

    Returns:
      One document.

    Raises:
      InputError: the structure is broken, a name holds no frame, or a region has no label.
    """
    fields = Fields(container.locate(name))
    of_project = _PROJECT in content
    images = fields.check_object(content[_PROJECT] if of_project else content, _PROJECT)
    left_out: collections.Counter[str] = collections.Counter()
    frames = []
    for key, image in images.items():
        where = f"{_PROJECT}[{shown(key)}]" if of_project else f"[{shown(key)}]"
        regions = _regions(fields, fields.check_object(image, where), where)
        instances = _instances(fields, regions, left_out)
        if regions and not instances:
            left_out["frames with no region that has an area"] += 1
            continue
        if not regions and not options.empty_frames:
            left_out["frames without regions"] += 1
            continue
        file_name = fields.text(image, "filename", where)
        found = frame_names.of_image(file_name)
        if not found:
            problem = f"{shown(file_name)} names no frame; name images <video>_<number>.jpg"
            raise fields.error(f"{where}.filename", problem)
        frame = AnnotatedFrame(found.video, found.number, None, instances, where)
        fields.check_once(frame, "put all regions of a frame on one image")
        frames.append(frame)
    explanation = frame_names.OF_IMAGES
    return [
        Document(fields.path, FORMAT, tuple(frames), "names", explanation, left_out=dict(left_out))
    ]


def _regions(fields, image, where):
    """Return [(where, region), ...]; VIA 1 has an object of them, VIA 2 a list."""
    regions = image.get("regions")
    if isinstance(regions, list):
        regions = dict(enumerate(regions))
    regions = fields.check_object(regions, f"{where}.regions")
    places = [(f"{where}.regions[{key}]", region) for key, region in regions.items()]
    return [(place, fields.check_object(region, place)) for place, region in places]


def _instances(fields, regions, left_out):
    instances = []
    for where, region in regions:
        place = f"{where}.shape_attributes"
        shape = fields.check_object(region.get("shape_attributes"), place)
        polygon = _polygon(fields, shape, place)
        if polygon is None:
            left_out[f"regions of type {shown(shape.get('name'))}"] += 1
            continue
        place = f"{where}.region_attributes"
        attributes = fields.check_object(region.get("region_attributes"), place)
        attributes = {key.strip().lower(): _value(value) for key, value in attributes.items()}
        attributes = {key: value for key, value in attributes.items() if value}
        actor, action = attributes.pop("actor", None), attributes.pop("action", None)
        label = actor or _label(attributes)
        if label is None:
            problem = "neither 'actor' nor one attribute that names the class; fill it in"
            raise fields.error(place, problem)
        instances.append(Instance(label, ([polygon],), where, actor=actor, action=action))
    return tuple(instances)


def _value(value):
    """Return an attribute as text: of a checkbox, {option: whether it is set}, the only one set."""
    if isinstance(value, dict):
        chosen = [option for option, is_set in value.items() if is_set in (True, "true")]
        value = chosen[0] if len(chosen) == 1 else None
    return value.strip() if isinstance(value, str) else None


def _label(attributes):
    """Return the class of a region by {name in lower case: text}; None where it is not clear."""
    for name in _CLASSES:
        if name in attributes:
            return attributes[name]
    return next(iter(attributes.values())) if len(attributes) == 1 else None


def _polygon(fields, shape, where):
    """Return the polygon [x, y, ...] of a shape; None where its type has no area."""

    def get(*names):
        for name in names:
            if not is_number(shape.get(name)):
                problem = f"{shown(shape.get(name))} is no number; draw the region again"
                raise fields.error(f"{where}.{name}", problem)
        return [shape[name] for name in names]

    kind = shape.get("name")
    if kind == "polygon":
        xs = fields.numbers(shape.get("all_points_x"), f"{where}.all_points_x")
        ys = fields.numbers(shape.get("all_points_y"), f"{where}.all_points_y", len(xs))
        if len(xs) < 3:
            problem = f"a polygon of {len(xs)} points; draw three or more"
            raise fields.error(f"{where}.all_points_x", problem)
        return [number for xy in zip(xs, ys) for number in xy]
    if kind == "circle":
        x, y, radius = get("cx", "cy", "r")
        return shapes.ellipse(x, y, radius, radius)
    if kind == "ellipse":
        angle = get("theta")[0] if "theta" in shape else 0
        return shapes.ellipse(*get("cx", "cy", "rx", "ry"), angle=angle)
    if kind == "rect":
        x, y, width, height = get("x", "y", "width", "height")
        return shapes.rectangle(x, y, x + width, y + height)
    return None
