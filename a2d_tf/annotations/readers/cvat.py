"""Reader of CVAT's XML: 'CVAT for video 1.1' and 'CVAT for images 1.1'.

An export contains a task, a job of a task, or a project.

Source: cvat-ai/cvat, `cvat/apps/dataset_manager/formats/cvat.py`, `bindings.py`.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from a2d_tf.annotations.documents import frame_names
from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.numbering import Counted, FrameName, Numbering
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers import shapes
from a2d_tf.annotations.readers.container import File
from a2d_tf.annotations.readers.cvat_shapes import (
    WITH_AREA,
    Key,
    group_of,
    read_shape,
)
from a2d_tf.annotations.readers.cvat_tasks import Task, integer, read_labels, read_tasks
from a2d_tf.annotations.readers.shapes import RawShape
from a2d_tf.core.errors import InputError, quoted

_BY_FRAME = Numbering(
    Counted.VIDEO_FRAMES, "CVAT counts from 0: its frame 5 is frame 6 of the video"
)
_BY_IMAGE = Numbering(
    Counted.TASK_IMAGES,
    "CVAT counts the task's images from 0: its frame 5 is the sixth",
)


def matches(content: Any) -> bool:
    """Return whether a file is CVAT's XML, even if it is cut off.

    Args:
      content: the bytes of the file.
    """
    return re.search(rb"<annotations[\s/>]", content[:4096]) is not None


def read(file: File, options: ReadOptions) -> list[Document]:
    """Read a file of 'CVAT for video 1.1' or 'CVAT for images 1.1'.

    A frame of a video counts as annotated, with all its visible shapes, if one of them
    is a keyframe. Images have no keyframes; an image with shapes counts. A shape on a
    single frame has no track, unless other frames have shapes of its group, as in our
    own export of masks.

    Args:
      file: the XML file.
      options: whether frames count whose shapes are all interpolated, and frames
        without shapes.

    Returns:
      a document for each task: its annotated frames, the range of the video that it
      covers, and the labels that it offers.

    Raises:
      InputError: the file is not XML of CVAT, or one of its fields is damaged.
    """
    try:
        root = ElementTree.fromstring(file.content)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(
            f"{file.path}: not valid XML ({error}); export it again"
        ) from error
    with file.at("meta"):
        tasks = read_tasks(root)
    readers = {}
    for task_id, task in tasks.items():
        readers[task_id] = _TaskReader(file, options, task)
    for element in root:
        if element.tag not in ("track", "image"):
            continue
        task_id = None if None in readers else element.get("task_id")
        with file.at(f"{_place_of(element)}, task_id"):
            reader = readers[task_id]
        if element.tag == "track":
            reader.add_track(element)
        else:
            reader.add_image(element)
    labels = tuple(read_labels(root))
    documents = []
    for reader in readers.values():
        document = reader.finish()
        document.tool_labels = labels
        documents.append(document)
    return documents


@dataclasses.dataclass
class _Frame:
    """A frame while its shapes are collected.

    Attributes:
      where, name, size: arguments of `Document.add`.
      is_annotated: whether a visible shape is a keyframe; for an <image>, whether it
        has shapes.
      may_be_empty: whether it may be annotated without shapes: it is an <image>, or a
        track ends there.
      has_others: whether it has shapes without an area.
      shapes: the visible shapes; parts of one instance have one group.
    """

    where: str
    name: FrameName
    size: tuple[int, int] | None
    is_annotated: bool = False
    may_be_empty: bool = False
    has_others: bool = False
    shapes: list[RawShape] = dataclasses.field(default_factory=list)


class _TaskReader:
    """Collects the frames of one task, and finally makes its document."""

    def __init__(self, file: File, options: ReadOptions, task: Task) -> None:
        self._file = file
        self._options = options
        self._task = task
        self._images: list[_Frame] = []
        self._video_frames: dict[int, _Frame] = {}  # by number
        # Numbers of frames in which CVAT interpolates a track. The file may have no
        # shape of it there, such as our own exports.
        self._passed_frames: set[int] = set()
        self._identities: dict[Key, int] = {}  # of tracks
        self._document = Document(file.path, "cvat", task=task.id)

    def add_track(self, track: Element) -> None:
        """Add the visible shapes of a <track>."""
        place = _place_of(track)
        with self._file.at(place):
            label = track.get("label", "")
            identity = integer(track, "id")
            key = group_of(track) or ("track", identity)
        # The largest part of a group changes; its first track does not.
        self._identities[key] = min(identity, self._identities.get(key, identity))
        latest = 0
        is_gone = True
        shapes_in_view = 0  # since the track last came into view
        for element in track:
            where = f'{place}, frame="{element.get("frame")}"'
            with self._file.at(where):
                number = self._task.number(integer(element, "frame"))
                if not is_gone:
                    self._passed_frames.update(range(latest + 1, number))
                latest = number
                frame = self._video_frame(number)
                if element.get("outside") == "1":
                    # A shape on one frame ends at the next one, which says nothing of
                    # that frame.
                    if shapes_in_view > 1:
                        frame.may_be_empty = True
                    is_gone = True
                elif self._add_shape(frame, element, label, key, where):
                    if is_gone:
                        shapes_in_view = 0
                    shapes_in_view += 1
                    is_gone = False
                    if element.get("keyframe") != "0":
                        frame.is_annotated = True

    def _video_frame(self, number: int) -> _Frame:
        """Return the frame of the video with a number; add it if it is new."""
        if number not in self._video_frames:
            numbering = _BY_FRAME
            if self._task.of_video is False:
                numbering = _BY_IMAGE
            name = FrameName(self._task.video, number, numbering)
            frame = _Frame(f"frame {number}", name, self._task.size)
            self._video_frames[number] = frame
        return self._video_frames[number]

    def add_image(self, image: Element) -> None:
        """Add the shapes of an <image>."""
        place = _place_of(image)
        with self._file.at(place):
            size = (integer(image, "height"), integer(image, "width"))
            frame = _Frame(place, self._frame_name(image), size, may_be_empty=True)
            for i, element in enumerate(image, 1):
                if element.tag == "tag":
                    continue
                label = element.get("label", "")
                where = f"{place}, shape {i}"
                self._add_shape(frame, element, label, group_of(element), where)
        frame.is_annotated = bool(frame.shapes)
        self._images.append(frame)

    def finish(self) -> Document:
        """Add annotated frames to the document, count the others, and return it."""
        frames = list(self._images)
        for number in sorted(self._video_frames):
            frame = self._video_frames[number]
            if frame.shapes or number not in self._passed_frames:
                frames.append(frame)
        tracks = self._tracks(frames)
        document = self._document
        task = self._task
        for frame in frames:
            if frame.shapes:
                counts = frame.is_annotated or self._options.interpolated
                reason = "frames with interpolated shapes only"
            elif frame.may_be_empty and not frame.has_others:
                counts = self._options.empty_frames
                reason = "frames without shapes, possibly not annotated"
            else:
                continue
            if not counts:
                document.left_out[reason] += 1
                continue
            tracked_shapes = []
            for shape in frame.shapes:
                track = tracks.get(shape.group)
                tracked_shapes.append(dataclasses.replace(shape, track=track))
            with self._file.at(
                frame.where, "parts of one instance need one label and one name"
            ):
                instances = shapes.join(tracked_shapes)
            document.add(
                frame.where, frame.name, frame.size, instances, split=task.split
            )
        by_name = any(
            image.name.numbering.kind == Counted.IMAGE_NAMES for image in self._images
        )
        # With a step above 1 the video may go on behind the last frame of the task.
        if task.of_video is not None and task.count and not by_name:
            document.frame_range = task.frames
            document.frame_count = task.frames.stop if task.step == 1 else None
        return document

    def _tracks(self, frames: list[_Frame]) -> dict[tuple | None, int]:
        """Return {group: its track} of the groups with shapes on several frames."""
        frame_counts = collections.Counter[Any]()
        for frame in frames:
            frame_counts.update({shape.group for shape in frame.shapes})
        tracks: dict[tuple | None, int] = {}
        for key, identity in self._identities.items():
            if frame_counts[key] > 1:
                tracks[key] = identity
        return tracks

    def _frame_name(self, image: Element) -> FrameName:
        """Return the frame of the video that an <image> shows."""
        path = image.get("name", "")
        frame = integer(image, "id")
        of_video = self._task.of_video
        if of_video is None:
            stem = path.rpartition(".")[0] or path
            of_video = stem == f"frame_{frame:06d}"
        if of_video:
            return FrameName(self._task.video, self._task.number(frame), _BY_FRAME)
        name = frame_names.parse_image(path)
        if name is None:
            raise ValueError(
                f"{quoted(path)} has no frame number, unlike clip1/00005.jpg"
            )
        return name

    def _add_shape(
        self, frame: _Frame, element: Element, label: str, key: Key | None, where: str
    ) -> bool:
        """Add a shape to a frame, if it has an area; otherwise count it as left out.

        Args:
          frame: the frame.
          element: the shape.
          label: the label of the shape, or of its track.
          key: the group of the shape, or its track; None if it has neither.
          where: the place in the file, for errors.

        Returns:
          whether the shape has an area.
        """
        if element.tag not in WITH_AREA:
            self._document.left_out[f"shapes <{element.tag}>, which have no area"] += 1
            frame.has_others = True
            return False
        place = self._file.place(where)
        frame.shapes.append(read_shape(element, label, key, place, frame.size))
        return True


def _place_of(element: Element) -> str:
    """Return the place of an element for errors: '<track id="3">'."""
    return f'<{element.tag} id="{element.get("id")}">'
