"""Writer of 'CVAT for video 1.1', which CVAT imports into a task of the same video.

CVAT counts frames from 0, and interpolates polygons between two key frames of a track; so a track
has a shape that is 'outside' where it is gone. A label keeps its name along a track, the attribute
'action' may change. Parts of one instance are tracks of one group. CVAT has no tracks of masks: it
takes the first shape of each for a mask on one frame, so every mask is a track of its own.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from a2d_tf.annotations.polygons import crop, polygons
from a2d_tf.annotations.tracked_video import Shape, TrackedVideo

SUFFIX, BETWEEN = ".xml", False


def write(video: TrackedVideo, masks: bool) -> Iterator[tuple[str, bytes]]:
    """Yield (name in a zip, content) of the one file; masks or else polygons."""
    root = Element("annotations")
    _add(root, "version", "1.1")
    _describe(_add(_add(root, "meta"), "task"), video)
    for track in video.tracks:
        for element in _of_masks(track, video) if masks else _of_polygons(track):
            element.set("id", str(len(root) - 2))
            root.append(element)
    ElementTree.indent(root)
    yield "annotations.xml", ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n"


def _add(parent, tag, text=None):
    element = SubElement(parent, tag)
    element.text = None if text is None else str(text)
    return element


def _describe(task, video):
    """Fill meta/task."""
    _add(task, "name", video.source)
    if video.frame_count is not None:
        _add(task, "size", video.frame_count)
    _add(task, "mode", "interpolation")
    _add(task, "overlap", 0)
    if video.frame_count is not None:
        _add(task, "start_frame", 0)
        _add(task, "stop_frame", video.frame_count - 1)
    _add(task, "frame_filter", "")
    labels = _add(task, "labels")
    for actor, actions in video.actions.items():
        label = _add(labels, "label")
        _add(label, "name", actor)
        attribute = _add(_add(label, "attributes"), "attribute")
        _add(attribute, "name", "action")
        _add(attribute, "mutable", True)
        _add(attribute, "input_type", "select")
        _add(attribute, "default_value", actions[0])
        _add(attribute, "values", "\n".join(actions))
    size = _add(task, "original_size")
    _add(size, "width", video.size[1])
    _add(size, "height", video.size[0])
    _add(task, "source", video.source)


def _of_polygons(track):
    """The <track>s of a track, one for each part that it has at most."""
    parts = [polygons(shape.decoded()) for shape in track.shapes]
    most = max(map(len, parts))
    for k in range(most):
        element, previous = _track(track, most > 1), None
        for shape, outlines in zip(track.shapes, parts):
            if k < len(outlines):
                previous = {"points": _points(outlines[k])}
                _shape(element, "polygon", shape, previous)
                if shape.until:
                    _shape(element, "polygon", shape, previous, shape.until)
                    previous = None
            elif previous:
                _shape(element, "polygon", shape, previous, shape.frame)
                previous = None
        yield element


def _of_masks(track, video):
    """A <track> for each mask of a track: the mask, and its end a frame later, if there is one."""
    for shape in track.shapes:
        element, fields = _track(track, True), _mask(shape)
        _shape(element, "mask", shape, fields)
        if shape.frame != video.frame_count:
            _shape(element, "mask", shape, fields, shape.frame + 1)
        yield element


def _track(track, grouped):
    group = {"group_id": str(track.id)} if grouped else {}
    return Element("track", {"id": "", "label": track.actor, "source": "auto", **group})


def _shape(track, tag: str, shape: Shape, fields: dict[str, str], outside: int | None = None):
    """Append a shape, or where it is outside from a frame on, the end of one."""
    times = {
        "frame": str((outside or shape.frame) - 1),
        "keyframe": "1",
        "outside": str(int(outside is not None)),
        "occluded": "0",
    }
    attribute = _add(SubElement(track, tag, {**times, **fields, "z_order": "0"}), "attribute")
    attribute.set("name", "action")
    attribute.text = shape.action


def _points(outline):
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(outline[::2], outline[1::2]))


def _mask(shape):
    """A mask's runs, background first, row by row through its box."""
    inside, left, top = crop(shape.decoded())
    flat = np.concatenate([[False], inside.ravel()])
    runs = np.diff([0, *np.flatnonzero(flat[1:] != flat[:-1]), inside.size])
    return {
        "rle": ", ".join(map(str, runs)),
        "left": str(left),
        "top": str(top),
        "width": str(inside.shape[1]),
        "height": str(inside.shape[0]),
    }
