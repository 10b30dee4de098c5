"""Reader of CVAT's XML: 'CVAT for video 1.1' and 'CVAT for images 1.1', of tasks, jobs, projects.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from typing import Any, NoReturn
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from a2d_tf.annotations import frame_names, shapes
from a2d_tf.annotations.container import File
from a2d_tf.annotations.cvat_tasks import Task, read_tasks
from a2d_tf.annotations.document import (
    AnnotatedFrame,
    Document,
    FrameName,
    Instance,
    Numbering,
    ReadOptions,
    Segmentation,
)
from a2d_tf.core.errors import MAX_SIDE, InputError, shown

_Key = tuple[str, int]  # the group of a shape, or else its track
_START = 4096  # bytes that hold the first tag
_MASKS = ("polygon", "mask", "ellipse")  # have an area to fill; a box only bounds one
_BY_FRAME = Numbering("video", "CVAT counts from 0: its frame 5 is frame 6 of the video")
_BY_IMAGE = Numbering(
    "images", "CVAT counts the task's images from 0: its frame 5 is the sixth of them"
)


@dataclasses.dataclass
class _Frame:
    """A frame on the way.

    Attributes:
      frame: what is known of it without its instances.
      known: whether it is annotated, by a keyframe.
      listed: whether it is an <image>, or one that a track has left.
      others: whether it has shapes that are no masks.
      shapes: (key, shape) of the visible ones; parts of one instance have the same key.
    """

    frame: AnnotatedFrame
    known: bool = False
    listed: bool = False
    others: bool = False
    shapes: list[tuple[_Key | None, Instance]] = dataclasses.field(default_factory=list)


def matches(content: Any) -> bool:
    """Whether the bytes of a file are CVAT's XML, even if truncated."""
    # UTF-16 has a zero in each character of a tag.
    return re.search(rb"<annotations[\s/>]", content[:_START].replace(b"\0", b"")) is not None


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read an XML file: a document for each task.

    A frame of a video counts as annotated where a visible shape is a keyframe, with all its visible
    shapes. Images keep no keyframes: those with shapes count. A shape on one frame only has no
    track, unless its group recurs on other frames, as in our own export of masks.

    Raises:
      InputError: no XML of CVAT, or a field of it is damaged; names the file and the place.
    """
    root = _parse(file)
    with file.at("meta"):
        readers = {key: _Reader(file, task, options) for key, task in read_tasks(root).items()}
    for element in root:
        if element.tag in ("track", "image"):
            key = None if None in readers else element.get("task_id")
            if key not in readers:
                problem = f"'task_id' {shown(key)} is no task of meta/project; export it again"
                raise file.error(_place(element), problem)
            reader = readers[key]
            (reader.add_track if element.tag == "track" else reader.add_image)(element)
    return [reader.document() for reader in readers.values()]


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree of a document that declares no types or entities of its own."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        # Entities of entities grow to any length, and others read files of this machine.
        raise ValueError("has a <!DOCTYPE>, which CVAT does not write")


def _parse(file):
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(file.content)
        return parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{file.path}: no XML, or truncated ({error}); export it again") from error


class _Reader:
    """Collects the frames of one task."""

    def __init__(self, file: File, task: Task, options: ReadOptions) -> None:
        self._file, self._task, self._options = file, task, options
        self._images: list[_Frame] = []
        self._frames: dict[int, _Frame] = {}  # of a video, by number
        self._spans: collections.defaultdict[_Key, set[int]] = collections.defaultdict(set)
        self._identities: dict[_Key, int] = {}
        self._left_out: collections.Counter[str] = collections.Counter()

    def add_track(self, track: Element) -> None:
        """Add the visible shapes of a <track>."""
        place = _place(track)
        with self._file.at(place):
            label, identity = _label(track), _number(track, "id")
            key = _group(track) or ("track", identity)
        # The largest part of a group changes; its first track does not.
        self._identities[key] = min(identity, self._identities.get(key, identity))
        visible, left = 0, []
        for element in track:
            where = f'frame="{element.get("frame")}"'
            with self._file.at(f"{place}, {where}"):
                number = self._task.number(_number(element, "frame"))
                entry = self._entry(number, where)
                if element.get("outside") == "1":
                    left.append(entry)
                elif self._add(entry, element, label, key, f"{place}, {where}"):
                    entry.known |= element.get("keyframe") != "0"
                    self._spans[key].add(number)
                    visible += 1
        # A shape that was drawn on one frame is exported as a track too, which ends at the next
        # frame, whatever that one shows.
        for entry in left if visible > 1 else ():
            entry.listed = True

    def add_image(self, image: Element) -> None:
        """Add the shapes of an <image>."""
        place = _place(image)
        with self._file.at(place):
            size = (_number(image, "height"), _number(image, "width"))
            found = self._name(image)
            frame = AnnotatedFrame(*found, size, (), place, split=self._task.split)
            entry = _Frame(frame, listed=True)
            for i, element in enumerate(image, 1):
                if element.tag != "tag":
                    where = f"{place}, shape {i}"
                    self._add(entry, element, _label(element), _group(element), where)
        entry.known = bool(entry.shapes)
        self._images.append(entry)

    def document(self) -> Document:
        """Return the document, with the frames that are annotated."""
        frames = []
        for entry in [*self._images, *(self._frames[n] for n in sorted(self._frames))]:
            if entry.shapes:
                kept = entry.known or self._options.interpolated
                reason = "frames with interpolated shapes only"
            elif entry.listed and not entry.others:
                kept = self._options.empty_frames
                reason = "frames without shapes, which may not be annotated"
            else:
                continue
            if kept:
                instances = shapes.join((key, self._tracked(key, x)) for key, x in entry.shapes)
                frames.append(dataclasses.replace(entry.frame, instances=instances))
            else:
                self._left_out[reason] += 1
        by_name = any(entry.frame.numbering.kind == "names" for entry in self._images)
        return Document(
            self._file.path,
            "cvat",
            tuple(frames),
            dict(self._left_out),
            frame_count=None if by_name else self._task.frame_count,
            task=self._task.id,
        )

    def _entry(self, number, where):
        """Return the frame of a video that has this 1-based number."""
        if number not in self._frames:
            task = self._task
            numbering = _BY_IMAGE if task.of_video is False else _BY_FRAME
            frame = AnnotatedFrame(
                task.video, number, numbering, task.size, (), where, split=task.split
            )
            self._frames[number] = _Frame(frame)
        return self._frames[number]

    def _name(self, image: Element) -> FrameName:
        """Return which frame an <image> is."""
        name, frame = image.get("name", ""), _number(image, "id")
        of_video = self._task.of_video
        if of_video is None:
            of_video = (name.rpartition(".")[0] or name) == f"frame_{frame:06d}"
        if of_video:
            return FrameName(self._task.video, self._task.number(frame), _BY_FRAME)
        found = frame_names.of_image(name)
        if found is None:
            raise ValueError(f"{shown(name)} has no frame number, as clip1/00005.jpg has")
        return found

    def _add(self, entry, element, label, key, where):
        """Add a shape to a frame, or count it where it has no area; return whether it has one."""
        if element.tag not in _MASKS:
            self._left_out[f"shapes <{element.tag}>, which are no masks"] += 1
            entry.others = True
            return False
        attributes = {
            attribute.get("name", "").lower(): (attribute.text or "").strip()
            for attribute in element.findall("attribute")
        }
        part, action = _segmentation(element, entry.frame.size), attributes.get("action")
        entry.shapes.append((key, Instance(label, (part,), where, attributes.get("actor"), action)))
        return True

    def _tracked(self, key, shape):
        """Return a shape with its identity, if it recurs on other frames."""
        track = self._identities[key] if len(self._spans.get(key, ())) > 1 else None
        return dataclasses.replace(shape, track=track)


def _segmentation(element: Element, size: tuple[int, int] | None) -> Segmentation:
    """Return the segmentation of one of _MASKS, in a frame of (height, width)."""
    if element.tag == "mask":
        left, top, width, height = (
            _number(element, key) for key in ("left", "top", "width", "height")
        )
        # The runs go row by row through the box, background first.
        runs = [int(run) for run in element.get("rle", "").split(",")]
        if min(runs) < 0 or sum(runs) != width * height or width * height > MAX_SIDE**2:
            raise ValueError(f"the runs of 'rle' do not fill its box of {width}x{height}")
        inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
        return shapes.bitmap(inside, left, top, size)
    if element.tag == "ellipse":
        numbers = [float(element.get(key, "")) for key in ("cx", "cy", "rx", "ry")]
        angle = math.radians(float(element.get("rotation", 0)))
        return [shapes.ellipse(*numbers, angle=angle)]
    points = [point.split(",") for point in element.get("points", "").split(";")]
    return [[float(number) for x, y in points for number in (x, y)]]


def _label(element):
    if not element.get("label"):
        raise ValueError("no 'label'")
    return element.get("label")


def _group(element):
    group = _number(element, "group_id", "0")
    return ("group", group) if group else None


def _number(element, field, default=""):
    text = element.get(field, default)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"<{element.tag}>: '{field}' is {shown(text)}, no whole number")
    return int(text)


def _place(element):
    return f'<{element.tag} id="{element.get("id")}">'
