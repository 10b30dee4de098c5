"""Writer of 'CVAT for video 1.1', which CVAT imports into a task of the same video.

CVAT counts frames from 0, and interpolates between two key frames of a track; so the
frame in which a track ends has a shape that is 'outside'. Interpolated shapes are
written, too, as CVAT does in its own exports, though it ignores them on import. A track
has one label; its attribute 'action' may change. Parts of one instance are tracks of
one group. The attribute 'name' is the track's name or number, which CVAT keeps if the
label has such an attribute; CVAT numbers <track>s and groups anew in each export.
CVAT has no tracks of masks: of a <track> of masks it imports the first one, as a mask
on a single frame. So every mask is a track of its own.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from a2d_tf.annotations.documents.conventions import CVAT
from a2d_tf.annotations.writers.outlines import crop, polygons
from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo, TrackShapes
from a2d_tf.data.segmentations import encode_mask, runs_of


class _ShapeWithParts(NamedTuple):
    """A shape, and the XML attributes of its box or of each of its polygons."""

    shape: Shape
    parts: list[dict[str, str]]


def write(video: TrackedVideo, *, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Make the file of 'CVAT for video 1.1' for the tracks of a video.

    Args:
      video: the tracks in the frames to export.
      masks: whether shapes are written as masks; otherwise as polygons. If the network
        predicted boxes alone, they are written as boxes.

    Yields:
      the (name, content) of the only file, annotations.xml.
    """
    root = Element("annotations")
    _add(root, "version", "1.1")
    task = _add(_add(root, "meta"), "task")
    _add(task, "name", video.source)
    _add(task, "source", video.source)
    if video.frame_count is not None:
        _add(task, "size", video.frame_count)
        _add(task, "start_frame", CVAT.first_frame)
    height, width = video.size
    size = _add(task, "original_size")
    _add(size, "width", width)
    _add(size, "height", height)
    track_id = CVAT.first_track
    for track in video.tracks:
        if video.boxes_only:
            elements = _tracks_of_parts(track, "box", _boxes(track))
        elif masks:
            elements = _tracks_of_masks(track, video.last_frame)
        else:
            elements = _tracks_of_parts(track, "polygon", _polygons(track))
        for element in elements:
            element.set("id", str(track_id))
            for shape in element:
                _add_attribute(shape, "name", track.name or track.number)
            root.append(element)
            track_id += 1
    ElementTree.indent(root)
    content = ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n"
    yield "annotations.xml", content


def _add(parent: Element, tag: str, text: Any = None) -> Element:
    """Append an element with a text, and return it."""
    element = SubElement(parent, tag)
    element.text = None if text is None else str(text)
    return element


def _add_attribute(shape: Element, name: str, value: Any) -> None:
    """Append an <attribute> to a shape."""
    _add(shape, "attribute", value).set("name", name)


def _boxes(track: TrackShapes) -> list[_ShapeWithParts]:
    """Return the shapes of a track with their boxes."""
    result = []
    for shape in track.shapes:
        left, top, width, height = shape.box()
        box = {
            "xtl": f"{left:.2f}",
            "ytl": f"{top:.2f}",
            "xbr": f"{left + width:.2f}",
            "ybr": f"{top + height:.2f}",
        }
        result.append(_ShapeWithParts(shape, [box]))
    return result


def _polygons(track: TrackShapes) -> list[_ShapeWithParts]:
    """Return the shapes of a track with their polygons."""
    result = []
    for shape in track.shapes:
        parts = []
        for polygon in polygons(shape.decoded()):
            points = zip(polygon[::2], polygon[1::2])
            parts.append({"points": ";".join(f"{x:.2f},{y:.2f}" for x, y in points)})
        result.append(_ShapeWithParts(shape, parts))
    return result


def _tracks_of_parts(
    track: TrackShapes, tag: str, shapes: Sequence[_ShapeWithParts]
) -> Iterator[Element]:
    """Yield a <track> for the first parts of all shapes, one for the second, and so on.

    A part ends where its track ends, or at the next shape if that has fewer parts. If
    it ends in the frame of the next shape, another <track> continues it there.

    Args:
      tag: the tag of the parts: 'box' or 'polygon'.
      shapes: the shapes of the track, in the order of frames.
    """
    most = max(len(shape.parts) for shape in shapes)
    is_grouped = most > 1
    for (shape, _), (following, _) in zip(shapes, shapes[1:]):
        if shape.until == following.frame:
            is_grouped = True
    for k in range(most):
        element = _track_element(track, is_grouped)
        end = None
        for i, (shape, parts) in enumerate(shapes):
            if k >= len(parts):
                continue
            if end == shape.frame:
                yield element
                element = _track_element(track, is_grouped)
            _add_shape(element, tag, shape, parts[k])
            end = shape.until
            if not end and i + 1 < len(shapes) and k >= len(shapes[i + 1].parts):
                end = shapes[i + 1].shape.frame
            if end:
                _add_shape(element, tag, shape, parts[k], outside_from=end)
        yield element


def _tracks_of_masks(track: TrackShapes, last_frame: int) -> Iterator[Element]:
    """Yield a <track> for each mask: the mask, and its end one frame later.

    Args:
      last_frame: the 1-based number of the last frame of the video; CVAT refuses shapes
        behind it.
    """
    for shape in track.shapes:
        element = _track_element(track, is_grouped=True)
        mask = _mask_attributes(shape)
        _add_shape(element, "mask", shape, mask)
        if shape.frame != last_frame:
            _add_shape(element, "mask", shape, mask, outside_from=shape.frame + 1)
        yield element


def _track_element(track: TrackShapes, is_grouped: bool) -> Element:
    """Return an empty <track>; the caller sets its id."""
    attributes = {"id": "", "label": track.actor, "source": "auto"}
    if is_grouped:
        attributes["group_id"] = str(track.id)
    return Element("track", attributes)


def _add_shape(
    track: Element,
    tag: str,
    shape: Shape,
    coordinates: dict[str, str],
    outside_from: int | None = None,
) -> None:
    """Append a shape to a <track>, or the end of the shape.

    Args:
      coordinates: the XML attributes of its box, polygon or mask.
      outside_from: the frame in which the shape is gone; None for the shape itself.
    """
    is_end = outside_from is not None
    frame = outside_from or shape.frame
    is_key_frame = is_end or shape.interpolated_box is None
    attributes = {
        "frame": str(CVAT.number(frame)),
        "keyframe": "1" if is_key_frame else "0",
        "outside": "1" if is_end else "0",
        "occluded": "0",
        **coordinates,
        "z_order": "0",
    }
    element = SubElement(track, tag, attributes)
    _add_attribute(element, "action", shape.action)


def _mask_attributes(shape: Shape) -> dict[str, str]:
    """Return the XML attributes of a mask: its box, and runs row by row through it.

    The first run is background.
    """
    inside, left, top = crop(shape.decoded())
    height, width = inside.shape
    runs = runs_of(encode_mask(inside.T)["counts"], inside.size)  # COCO's go by columns
    return {
        "rle": ", ".join(map(str, runs)),
        "left": str(left),
        "top": str(top),
        "width": str(width),
        "height": str(height),
    }
