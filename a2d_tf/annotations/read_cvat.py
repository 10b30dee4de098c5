"""Reader of CVAT's XML: 'CVAT for video 1.1' and 'CVAT for images 1.1', of tasks, jobs,
projects.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`, `bindings.py`.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from a2d_tf.annotations import frame_names, shapes
from a2d_tf.annotations.container import File
from a2d_tf.annotations.document import (
    Document,
    FrameName,
    Instance,
    Numbering,
    ReadOptions,
)
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.data import video_frames
from a2d_tf.data.segmentations import decode_rle

_Key = tuple[str, int]  # the group of a shape, or else its track
_SHAPES = ("polygon", "mask", "ellipse", "box")  # have an area, or bound one
# Of CVAT's subsets, if one is Test; `--val_fraction` chooses the validation videos.
_SPLITS = {"train": "train", "validation": "train", "test": "test"}
# Suffixes of sources: films, images and archives. A folder's name may have a dot, too:
# clip.v2.
_SOURCES = (*video_frames.VIDEOS, *video_frames.IMAGES, ".zip", ".tar", ".gz", ".tgz")
_SUFFIX = re.compile(f"(?i)({'|'.join(map(re.escape, _SOURCES))})$")
_BY_FRAME = Numbering(
    "video", "CVAT counts from 0: its frame 5 is frame 6 of the video"
)
_BY_IMAGE = Numbering(
    "images", "CVAT counts the task's images from 0: its frame 5 is the sixth"
)


def matches(content: Any) -> bool:
    """Return whether the bytes of a file are CVAT's XML, even if truncated."""
    return re.search(rb"<annotations[\s/>]", content[:4096]) is not None


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read an XML file: a document for each task.

    A frame of a video counts as annotated where a visible shape is a keyframe, with all
    its visible shapes. Images keep no keyframes: those with shapes count. A shape on
    one frame only has no track, unless its group recurs on other frames, as in our own
    export of masks.

    Raises:
      InputError: no XML of CVAT, or a field of it is damaged; names the file and the
        place.
    """
    try:
        root = ElementTree.fromstring(file.content)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(
            f"{file.path}: not valid XML ({error}); export it again"
        ) from error
    with file.at("meta"):
        readers = {
            key: _Reader(file, options, task) for key, task in _tasks(root).items()
        }
    for element in root:
        if element.tag in ("track", "image"):
            key = None if None in readers else element.get("task_id")
            with file.at(f"{_place(element)}, task_id"):
                reader = readers[key]
            (reader.add_track if element.tag == "track" else reader.add_image)(element)
    documents, labels = (
        [reader.document() for reader in readers.values()],
        tuple(_labels(root)),
    )
    return [dataclasses.replace(document, tool_labels=labels) for document in documents]


@dataclasses.dataclass
class _Task:
    """A task of an export, or the one job that it is of.

    Attributes:
      video: the video's name without suffix; None where the export has none.
      of_video: whether it annotates a video; False for images; None where the export is
        silent.
      size: (height, width) of the video; None for images.
      start, step, count: the frames of the video that the task shows; count is None if
        unknown.
      id: its number; None for a job, since a task has several jobs.
      offset: what a project adds to the frame numbers.
      split: 'train' or 'test'; None in another subset, or where the project lacks one
        of the two.
    """

    video: str | None = None
    of_video: bool | None = None
    size: tuple[int, int] | None = None
    start: int = 0
    step: int = 1
    count: int | None = None
    id: int | None = None
    offset: int = 0
    split: str | None = None

    @property
    def frames(self) -> range:
        """The frames of the video that the task shows, counted from 0; none where
        unknown.
        """
        return range(self.start, self.start + self.step * (self.count or 0), self.step)

    def number(self, frame: int) -> int:
        """Return the 1-based number of a frame of the file; ValueError if the task
        lacks it.
        """
        if self.count is not None and frame - self.offset not in self.frames:
            raise ValueError(f"frame {frame} is not in its task")
        return frame - self.offset + 1


def _tasks(root: Element) -> dict[str | None, _Task]:
    """Return {id: task} of a project, in the order of the ids; {None: task} of a
    task or job.
    """
    meta = root.find("meta")
    if meta is None or meta.find("project") is None:
        return {None: _Task() if meta is None else _task(meta, meta.find("task"))}
    tasks = [
        (_task(element, element), element)
        for element in meta.iterfind("project/tasks/task")
    ]
    tasks.sort(key=lambda entry: entry[0].id or 0)
    subsets = [element.findtext("subset") or "" for _, element in tasks]
    splits = [_SPLITS.get(subset.lower()) for subset in subsets]
    ends = dict.fromkeys(subsets, 0)
    for (task, element), subset, split in zip(tasks, subsets, splits):
        task.video = task.video or _video(element.findtext("name", ""))
        task.split = split if {"train", "test"} <= set(splits) else None
        task.offset = ends[subset]
        ends[subset] += task.frames.stop
    return {str(task.id): task for task, _ in tasks}


_NAMED = ("actor", "action")


def _labels(root: Element) -> Iterator[Instance]:
    """Yield an instance of each label and action that the tool lists; see
    `Document.tool_labels`.

    A label whose actor or action is free text has no name here: not all names are
      listed.
    """
    for label in root.iterfind("meta//label"):
        name = label.findtext("name", "")
        choices: dict[str, list] = {}
        for each in label.iterfind("attributes/attribute"):
            kind = each.findtext("name", "").lower()
            choices[kind] = each.findtext("values", "").split("\n")
            if kind in _NAMED and each.findtext("input_type") not in (
                "select",
                "radio",
            ):
                name, choices[kind] = "", [None]
        for chosen in itertools.product(
            *(choices.get(kind, [None]) for kind in _NAMED)
        ):
            yield Instance(name, (), "meta", *chosen)


def _task(parent: Element, task: Element | None) -> _Task:
    """Read a task that is described somewhere within `parent`; a job's export has
    only parts.
    """
    texts = _texts(reversed(list(parent.iter())))  # of each tag, the first
    own = _texts([] if task is None else task)
    found = _Task(_video(texts.get("source", "")))
    if "original_size" in texts:
        found.size = _number(texts, "height"), _number(texts, "width")
    modes = {"interpolation": True, "annotation": False}
    found.of_video = bool(found.video or found.size) or modes.get(texts.get("mode", ""))
    if "size" in own or parent is task:
        found.start, found.count = _number(own, "start_frame"), _number(own, "size")
    if step := re.search(r"step\s*=\s*([1-9][0-9]*)", texts.get("frame_filter", "")):
        found.step = int(step[1])
    if "id" in own or parent is task:
        found.id = _number(own, "id")
    return found


def _texts(elements):
    return {element.tag: (element.text or "").strip() for element in elements}


def _video(name):
    """Return the name of a file without folders and suffix; None for no name."""
    return _SUFFIX.sub("", name.strip().replace("\\", "/").rpartition("/")[2]) or None


@dataclasses.dataclass
class _Frame:
    """A frame on the way.

    Attributes:
      where, name, size: as of `Document.add`.
      known: whether it is annotated, by a keyframe.
      listed: whether it is an <image>, or one that a track has left.
      others: whether it has shapes without an area.
      shapes: (key, shape) of the visible ones; parts of one instance have the same key.
    """

    where: str
    name: FrameName
    size: tuple[int, int] | None
    known: bool = False
    listed: bool = False
    others: bool = False
    shapes: list[tuple[_Key | None, Instance]] = dataclasses.field(default_factory=list)


class _Reader:
    """Collects the frames of one task."""

    def __init__(self, file: File, options: ReadOptions, task: _Task) -> None:
        self._file, self._options, self._task = file, options, task
        self._images: list[_Frame] = []
        self._frames: dict[int, _Frame] = {}  # of a video, by number
        self._identities: dict[_Key | None, int] = {}  # of tracks
        self._document = Document(file.path, "cvat", task=task.id)

    def add_track(self, track: Element) -> None:
        """Add the visible shapes of a <track>."""
        place = _place(track)
        with self._file.at(place):
            label, identity = track.get("label", ""), _number(track, "id")
            key = _group(track) or ("track", identity)
        # The largest part of a group changes; its first track does not.
        self._identities[key] = min(identity, self._identities.get(key, identity))
        visible, left = 0, []
        numbering = _BY_IMAGE if self._task.of_video is False else _BY_FRAME
        for element in track:
            where = f'{place}, frame="{element.get("frame")}"'
            with self._file.at(where):
                number = self._task.number(_number(element, "frame"))
                name = FrameName(self._task.video, number, numbering)
                entry = _Frame(f"frame {number}", name, self._task.size)
                entry = self._frames.setdefault(number, entry)
                if element.get("outside") == "1":
                    left.append(entry)
                elif self._add(entry, element, label, key, where):
                    entry.known |= element.get("keyframe") != "0"
                    visible += 1
        # A shape drawn on one frame is exported as a track that ends at the next one;
        # that end says nothing of the next frame.
        for entry in left if visible > 1 else ():
            entry.listed = True

    def add_image(self, image: Element) -> None:
        """Add the shapes of an <image>."""
        place = _place(image)
        with self._file.at(place):
            size = (_number(image, "height"), _number(image, "width"))
            entry = _Frame(place, self._name(image), size, listed=True)
            for i, element in enumerate(image, 1):
                if element.tag != "tag":
                    where = f"{place}, shape {i}"
                    self._add(
                        entry, element, element.get("label", ""), _group(element), where
                    )
        entry.known = bool(entry.shapes)
        self._images.append(entry)

    def document(self) -> Document:
        """Return the document, with the frames that are annotated."""
        entries = [*self._images, *(self._frames[n] for n in sorted(self._frames))]
        shown_on = collections.Counter(
            key for entry in entries for key in dict(entry.shapes)
        )
        tracks = {key: n for key, n in self._identities.items() if shown_on[key] > 1}
        document, task = self._document, self._task
        for entry in entries:
            if entry.shapes:
                kept = entry.known or self._options.interpolated
                reason = "frames with interpolated shapes only"
            elif entry.listed and not entry.others:
                kept = self._options.empty_frames
                reason = "frames without shapes, possibly not annotated"
            else:
                continue
            if kept:
                with self._file.at(entry.where, "parts of one instance need one label"):
                    instances = shapes.join(
                        (key, dataclasses.replace(shape, track=tracks.get(key)))
                        for key, shape in entry.shapes
                    )
                document.add(
                    entry.where, entry.name, entry.size, instances, split=task.split
                )
            else:
                document.left_out[reason] += 1
        by_name = any(entry.name.numbering.kind == "names" for entry in self._images)
        # With a step above 1 the video may go on behind the last frame shown.
        if task.of_video is not None and task.count and not by_name:
            document.frame_range = task.frames
            document.frame_count = task.frames.stop if task.step == 1 else None
        return document

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
            raise ValueError(
                f"{quoted(name)} has no frame number, unlike clip1/00005.jpg"
            )
        return found

    def _add(self, entry, element, label, key, where):
        """Add a shape to a frame, or count it where it has no area; return whether
        it has one.
        """
        if element.tag not in _SHAPES:
            self._document.left_out[f"shapes <{element.tag}>, which have no area"] += 1
            entry.others = True
            return False
        attributes = {
            attribute.get("name", "").lower(): (attribute.text or "").strip()
            for attribute in element.findall("attribute")
        }
        is_box = element.tag == "box"
        shape = Instance(
            label,
            () if is_box else (_segmentation(element, entry.size),),
            self._file.place(where),
            attributes.get("actor"),
            attributes.get("action"),
            box=_box(element) if is_box else None,
            name=attributes.get("name"),
        )
        entry.shapes.append((key, shape))
        return True


def _segmentation(element, size):
    """Return the segmentation of a shape other than a box, in a frame of (height,
    width).
    """
    if element.tag == "mask":
        sides = ("left", "top", "width", "height")
        left, top, width, height = (_number(element, side) for side in sides)
        # The runs go row by row through the box, and COCO's by columns.
        runs = [int(run) for run in element.get("rle", "").split(",")]
        inside = decode_rle({"size": [width, height], "counts": runs}, width, height).T
        return shapes.bitmap(inside, left, top, size)
    if element.tag == "ellipse":
        numbers = [float(element.get(key, "")) for key in ("cx", "cy", "rx", "ry")]
        return [
            shapes.ellipse(
                *numbers, angle=math.radians(float(element.get("rotation", 0)))
            )
        ]
    points = [point.split(",") for point in element.get("points", "").split(";")]
    return [[float(number) for x, y in points for number in (x, y)]]


def _box(element):
    """Return [x, y, width, height] of a <box>, around it where it is turned about
    its centre.
    """
    x1, y1, x2, y2 = (
        float(element.get(name, "")) for name in ("xtl", "ytl", "xbr", "ybr")
    )
    return shapes.turned([x1, y1, x2 - x1, y2 - y1], float(element.get("rotation", 0)))


def _group(element):
    group = _number(element, "group_id", "0")
    return ("group", group) if group else None


def _number(fields: Element | Mapping[str, str], name: str, default: str = "") -> int:
    """Return an attribute of an element, or one of some texts, as a number."""
    text = fields.get(name, default)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"'{name}' is {quoted(text)}, not an integer")
    return int(text)


def _place(element):
    return f'<{element.tag} id="{element.get("id")}">'
