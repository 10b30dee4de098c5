"""Reader of CVAT's XML: 'CVAT for video 1.1' and 'CVAT for images 1.1', of tasks, jobs, projects.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import re
from typing import Any
from xml.etree.ElementTree import Element

from a2d_tf.annotations import cvat_shapes as shapes
from a2d_tf.annotations import parts
from a2d_tf.annotations.container import Container
from a2d_tf.annotations.cvat_markup import parse_xml
from a2d_tf.annotations.cvat_tasks import Task, read_tasks
from a2d_tf.annotations.document import AnnotatedFrame, Document, Instance, ReadOptions
from a2d_tf.annotations.fields import Fields
from a2d_tf.core.errors import InputError, shown
from a2d_tf.core.limits import MAX_SIDE

FORMAT = "cvat"

_START = 4096  # bytes that hold the first tag
_AGAIN = "export it again"
_BY_NAME = "the number in an image's name is the frame's"
_BY_FRAME = "CVAT counts from 0: its frame 5 is frame 6 of the video"
_BY_IMAGE = "CVAT counts the task's images from 0: its frame 5 is the sixth of them"


@dataclasses.dataclass
class _Shape:
    """A visible shape: its element, label, group (0 for none) and track."""

    element: Element
    label: str
    group: int
    where: str
    track: int | None = None


@dataclasses.dataclass
class _Frame:
    """A frame on the way.

    Attributes:
      known: whether it is annotated, by a keyframe.
      listed: whether it is an <image>, or one that a track has left.
      others: whether it has shapes that are no masks.
    """

    number: int
    video: str | None
    size: tuple[int, int] | None
    where: str
    known: bool = False
    listed: bool = False
    others: bool = False
    shapes: list[_Shape] = dataclasses.field(default_factory=list)


def matches(content: Any) -> bool:
    """Whether the bytes of a file are CVAT's XML, even if truncated."""
    # UTF-16 has a zero in each character of a tag.
    start = content[:_START].replace(b"\0", b"") if isinstance(content, bytes) else b""
    return re.search(rb"<annotations[\s/>]", start) is not None


def read(name: str, content: Any, container: Container, options: ReadOptions) -> list[Document]:
    """Read an XML file: the bytes `content` of the file `name`.

    A frame of a video counts as annotated where a visible shape is a keyframe, with all its visible
    shapes. Images keep no keyframes: those with shapes count. A shape on one frame only has no
    track, unless its group recurs on other frames, as in our own export of masks.

    Returns:
      A document for each task.

    Raises:
      InputError: no XML of CVAT, or a field of it is damaged; names the file and the place.
    """
    path = container.locate(name)
    root = parse_xml(content, path)
    if root.tag != "annotations":
        raise InputError(f"{path}: <{root.tag}> is not <annotations>, CVAT's first; check --format")
    readers = {key: _Reader(path, task, options) for key, task in read_tasks(root, path).items()}
    for element in root:
        if element.tag in ("track", "image"):
            key = None if None in readers else element.get("task_id")
            if key not in readers:
                raise InputError(
                    f"{path}: {_place(element)}: 'task_id' {shown(key)} is no task of "
                    f"meta/project; {_AGAIN}"
                )
            add = readers[key].add_track if element.tag == "track" else readers[key].add_image
            add(element)
    return [reader.document() for reader in readers.values()]


class _Reader:
    """Collects the frames of one task."""

    def __init__(self, path: pathlib.PurePath, task: Task, options: ReadOptions) -> None:
        self._fields, self._task, self._options = Fields(path), task, options
        self._frames: dict[tuple[str | None, int], _Frame] = {}
        self._identities: dict[int, int] = {}  # by group
        # By group, {frame: identity} of the tracks of one shape, as masks are.
        self._single: dict[int, dict[int, int]] = {}
        self._left_out: collections.Counter[str] = collections.Counter()
        self._by_name = False

    def add_track(self, track: Element) -> None:
        """Add the visible shapes of a <track>."""
        where = _place(track)
        label, group = self._label(track, where), self._whole(track, "group_id", where, 0)
        identity = self._whole(track, "id", where)
        found, left, first = [], [], 0
        for element in track:
            frame = self._whole(element, "frame", f"{where}, <{element.tag}>")
            place = f'{where}, frame="{frame}"'
            number = self._task.number(frame)
            if number is None:
                raise self._fields.error(place, f"a frame that its task does not show; {_AGAIN}")
            entry = self._frames.setdefault(
                (self._task.video, number),
                _Frame(number, self._task.video, self._task.size, f'frame="{frame}"'),
            )
            if self._flag(element, "outside", False, place):
                left.append(entry)
            elif self._is_mask(element):
                entry.known |= self._flag(element, "keyframe", True, place)
                found.append(_Shape(element, label, group, place))
                first = first or number
                entry.shapes.append(found[-1])
            else:
                entry.others = True
        # A shape that was drawn on one frame is exported as a track too, which ends at the next
        # frame, whatever that one shows.
        if len(found) > 1:
            for entry in left:
                entry.listed = True
            if group:
                self._identities[group] = min(identity, self._identities.get(group, identity))
            for shape in found:
                shape.track = identity
        elif group and found:
            self._single.setdefault(group, {})[first] = identity

    def add_image(self, image: Element) -> None:
        """Add the shapes of an <image>."""
        where = _place(image)
        size = tuple(self._whole(image, side, where) for side in ("height", "width"))
        if not all(0 < side <= MAX_SIDE for side in size):
            raise self._fields.error(where, f"{size[1]}x{size[0]} is no size of an image; {_AGAIN}")
        video, number = self._name(image, where)
        if (video, number) in self._frames:
            raise self._fields.error(where, f"frame {number} is there twice; {_AGAIN}")
        elements = [element for element in image if element.tag != "tag"]
        masks = [element for element in elements if self._is_mask(element)]
        found = [
            _Shape(
                element,
                self._label(element, f"{where}, <{element.tag}>"),
                self._whole(element, "group_id", f"{where}, <{element.tag}>", 0),
                f"{where}, <{element.tag}> {i} of {len(masks)}",
            )
            for i, element in enumerate(masks, 1)
        ]
        others = len(elements) > len(masks)
        entry = _Frame(number, video, size, where, bool(found), True, others, found)
        self._frames[video, number] = entry

    def document(self) -> Document:
        """Return the document, with the frames that are annotated."""
        for group, tracks in self._single.items():
            if len(tracks) > 1:
                self._identities.setdefault(group, min(tracks.values()))
        frames = []
        entries = list(self._frames.values())
        if not self._by_name:
            entries.sort(key=lambda entry: entry.number)
        for entry in entries:
            if entry.shapes:
                kept = entry.known or self._options.interpolated
                reason = "frames with interpolated shapes only"
            elif entry.listed and not entry.others:
                kept = self._options.empty_frames
                reason = "frames without shapes, which may not be annotated"
            else:
                continue
            if kept:
                frames.append(self._annotated(entry))
            else:
                self._left_out[reason] += 1
        return Document(
            path=self._fields.path,
            format=FORMAT,
            frames=tuple(frames),
            **self._numbering(),
            left_out=dict(self._left_out),
            task=self._task.id,
        )

    def _numbering(self):
        if self._by_name:
            return {"numbering": "names", "explanation": _BY_NAME}
        of_images = self._task.of_video is False
        return {
            "numbering": "images" if of_images else "video",
            "explanation": _BY_IMAGE if of_images else _BY_FRAME,
            "frame_count": self._task.frame_count,
        }

    def _annotated(self, entry):
        pairs = [(shape.group, self._instance(shape, entry.size)) for shape in entry.shapes]
        try:
            instances = parts.join(pairs)
        except InputError as error:
            raise InputError(f"{self._fields.path}: {error}") from error
        return AnnotatedFrame(
            video=entry.video,
            number=entry.number,
            size=entry.size,
            instances=instances,
            where=entry.where,
            split=self._task.split,
        )

    def _instance(self, shape, size):
        try:
            part = shapes.segmentation(shape.element, size)
        except InputError as error:
            raise self._fields.error(shape.where, str(error)) from error
        attributes = shapes.attributes(shape.element)
        return Instance(
            label=shape.label,
            parts=(part,),
            where=shape.where,
            actor=attributes.get("actor"),
            action=attributes.get("action"),
            # The largest part of a group changes; its first track does not.
            track=self._identities.get(shape.group, shape.track),
        )

    def _name(self, image, where):
        """The video's name and the number of a frame that is an <image>."""
        name, frame = image.get("name", ""), self._whole(image, "id", where)
        of_video = self._task.of_video
        if of_video is None:
            of_video = (name.rpartition(".")[0] or name) == f"frame_{frame:06d}"
        if of_video:
            number = self._task.number(frame)
            if number is None:
                raise self._fields.error(where, f"a frame that its task does not show; {_AGAIN}")
            return self._task.video, number
        self._by_name = True
        return self._fields.frame_name(name, where)

    def _is_mask(self, element):
        """Whether a shape has an area to fill; others are counted."""
        if element.tag not in shapes.MASKS:
            self._left_out[f"shapes <{element.tag}>, which are no masks"] += 1
        return element.tag in shapes.MASKS

    def _label(self, element, where):
        label = element.get("label")
        if not label:
            raise self._fields.error(where, f"no 'label'; {_AGAIN}")
        return label

    def _whole(self, element, field, where, default=None):
        text = element.get(field, default)
        try:
            number = int(text)
        except (TypeError, ValueError):
            number = -1
        if not 0 <= number < 10**9:
            raise self._fields.error(
                where, f"'{field}' is {shown(text)}, no whole number; {_AGAIN}"
            )
        return number

    def _flag(self, element, field, default, where):
        text = element.get(field, str(int(default)))
        if text not in ("0", "1"):
            raise self._fields.error(
                where, f"'{field}' is {shown(text)} instead of 0 or 1; {_AGAIN}"
            )
        return text == "1"


def _place(element):
    return f'<{element.tag} id="{element.get("id")}">'
