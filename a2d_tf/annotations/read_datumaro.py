"""Reader of Datumaro's JSON, as CVAT ('Datumaro 1.0') and Datumaro 1.x write it.

Source: datumaro, `plugins/data_formats/datumaro/exporter.py`.
"""

from __future__ import annotations

import collections
import re
from typing import Any

from a2d_tf.annotations import parts, shapes
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.annotations.fields import Fields, attributes_of, name_of
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.limits import MAX_SIDE

FORMAT = "datumaro"

_MASKS = ("polygon", "mask", "ellipse")
_AGAIN = "export it again"
_BY_NAME = "the number in an item's id is the frame's"
_BY_FRAME = "CVAT counts from 0: frame_000005 is frame 6 of the video"


def matches(content: Any) -> bool:
    """Whether a JSON document is Datumaro's."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("items"), list)
        and isinstance(content.get("categories"), dict)
    )


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read the parsed JSON `content` of the file `name`.

    An item counts as annotated where one of its shapes is a keyframe or knows of none. The file
    names no video, unless the ids of the items do.

    Raises:
      InputError: a field is missing or damaged; names the file and the field.
    """
    if not matches(content):
        raise InputError(
            f"{container.locate(name)}: no 'items' and 'categories' of Datumaro; check --format"
        )
    return [_Reader(container.locate(name), content, options).document()]


class _Reader:
    """Reads one document."""

    def __init__(self, path, content, options):
        self._fields, self._options = Fields(path), options
        labels = content["categories"].get("label")
        self._labels = self._fields.entries(labels, "labels", "categories.label")
        self._items = self._fields.entries(content, "items")
        for i, item in enumerate(self._items):
            self._fields.entries(item, "annotations", f"items[{i}]")
        self._by_name = not all(map(_is_video_frame, self._items))
        self._identities = _identities(self._items)
        self._left_out: collections.Counter[str] = collections.Counter()

    def document(self) -> Document:
        """Return the document."""
        numbers, frames = set(), []
        for i, item in enumerate(self._items):
            where = f"items[{i}]"
            masks = self._masks(item["annotations"], where)
            annotated = self._is_annotated(item["annotations"], masks.values())
            if self._by_name and not annotated:  # its name need not be that of a frame
                continue
            video, number = self._name(item, where)
            numbers.add(number)
            if annotated:
                size, instances = self._size(item, where), self._instances(masks)
                frames.append(AnnotatedFrame(video, number, size, instances, where))
                self._fields.check_once(frames[-1], "put all annotations of a frame in one item")
        # CVAT lists all frames; of a part of a video, the numbers do not begin with 1 or have gaps.
        whole = not self._by_name and numbers == set(range(1, len(self._items) + 1))
        return Document(
            path=self._fields.path,
            format=FORMAT,
            frames=tuple(frames),
            numbering="names" if self._by_name else "video",
            explanation=_BY_NAME if self._by_name else _BY_FRAME,
            frame_count=len(self._items) if whole else None,
            left_out=dict(self._left_out),
        )

    def _masks(self, annotations, where):
        """Return {place: annotation} of those with an area to fill; others are counted."""
        masks = {}
        for k, annotation in enumerate(annotations):
            place = f"{where}.annotations[{k}]"
            kind = self._fields.text(annotation, "type", place)
            if kind in _MASKS:
                masks[place] = annotation
            else:
                self._left_out[f"annotations of type {kind}, which are no masks"] += 1
        return masks

    def _is_annotated(self, annotations, masks):
        if not annotations:
            if not self._options.empty_frames:
                self._left_out["frames without shapes, which may not be annotated"] += 1
            return self._options.empty_frames
        if masks and not self._options.interpolated:
            if all(attributes_of(mask).get("keyframe") is False for mask in masks):
                self._left_out["frames with interpolated shapes only"] += 1
                return False
        return bool(masks)

    def _instances(self, masks):
        pairs = []
        for where, mask in masks.items():
            group = 0 if mask.get("group") is None else mask["group"]
            if type(group) is not int:
                raise self._fields.error(f"{where}.group", f"{shown(group)} is no number; {_AGAIN}")
            pairs.append((group, self._instance(mask, where, group)))
        try:
            return parts.join(pairs)
        except InputError as error:
            raise InputError(f"{self._fields.path}: {error}") from error

    def _instance(self, mask, where, group):
        index = mask.get("label_id")
        if type(index) is not int or not 0 <= index < len(self._labels):
            raise self._fields.error(
                f"{where}.label_id", f"{shown(index)} is none of categories.label.labels; {_AGAIN}"
            )
        label = self._fields.text(self._labels[index], "name", f"categories.label.labels[{index}]")
        names = {field: name_of(attributes_of(mask).get(field)) for field in ("actor", "action")}
        for field, value in names.items():
            if value is not None and not isinstance(value, str):
                raise self._fields.error(
                    f"{where}.attributes.{field}", f"{shown(value)} is no text; {_AGAIN}"
                )
        return Instance(
            label=label,
            parts=(self._segmentation(mask, where),),
            where=where,
            track=self._identities.get(group, _track(mask)),
            **names,
        )

    def _segmentation(self, mask, where):
        if mask["type"] == "mask":
            return self._fields.check_object(mask.get("rle"), f"{where}.rle")
        count = None if mask["type"] == "polygon" else 4
        points = self._fields.numbers(mask.get("points"), f"{where}.points", count)
        if mask["type"] == "polygon":
            return [points]
        x1, y1, x2, y2 = points
        return [shapes.ellipse((x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2)]

    def _name(self, item, where):
        """The video's name and the frame's number."""
        name = self._fields.text(item, "id", where)
        found = self._fields.frame_name(name, f"{where}.id")
        return found if self._by_name else (None, found[1] + 1)

    def _size(self, item, where):
        """The image's (height, width); older exports have none."""
        image = item.get("image")
        size = image.get("size") if isinstance(image, dict) else None
        if size is None:
            return None
        valid = isinstance(size, list) and len(size) == 2
        if not valid or not all(type(side) is int and 0 < side <= MAX_SIDE for side in size):
            raise self._fields.error(
                f"{where}.image.size",
                f"{shown(size)} is no [height, width] up to {MAX_SIDE} pixels; {_AGAIN}",
            )
        return tuple(size)


def _is_video_frame(item):
    """Whether an id is CVAT's for a frame of a video; the ids of images are the user's names."""
    found = re.fullmatch("frame_([0-9]{6,9})", str(item.get("id")))
    attributes = item.get("attr")
    frame = attributes.get("frame") if isinstance(attributes, dict) else None
    return found is not None and frame in (None, int(found[1]))


def _identities(items):
    """Return {group: track}: the largest part of a group changes, its first track does not."""
    identities: dict[int, int] = {}
    for item in items:
        for annotation in item["annotations"]:
            group, track = annotation.get("group"), _track(annotation)
            if type(group) is int and group and track is not None:
                identities[group] = min(track, identities.get(group, track))
    return identities


def _track(annotation):
    track = attributes_of(annotation).get("track_id")
    return track if type(track) is int else None
