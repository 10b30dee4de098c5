"""The neutral form of an annotation export: annotated frames with their instances.

The readers of formats produce documents, and `matching` finds their videos.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Union

from a2d_tf.core.errors import InputError

Segmentation = Union[list, dict]
"""A COCO segmentation.

Either polygons [[x1, y1, x2, y2, ...], ...], or an RLE {'size', 'counts'}.
"""
# Largest relative difference of two aspect ratios that count as equal: tools round the
# sides of images, and encoders those of videos to even numbers.
_ROUNDING = 0.02


@dataclasses.dataclass(frozen=True)
class Instance:
    """One annotated instance of a frame.

    Attributes:
      label: the tool's name of the class: an actor, or 'actor-action'.
      parts: the segmentations whose union is the mask; empty if only a box is
        annotated.
      where: the file and the place in it, for errors: 'own.json: annotations[3]'.
      actor, action: the values of the attributes 'actor' and 'action'; None if the tool
        has no such attribute.
      track: the number of the track in the file, unique in its video; None if the
        instance has no track.
      box: the annotated box [x, y, width, height], in pixels; None if the box follows
        from the mask. An instance has parts, a box, or both.
      name: the value of the attribute 'name', which names the individual; None if there
        is none.
      number: the number by which the user knows the individual; None if there is none.
        It is the `name` if that is a number. Otherwise it is the track, if a person or
        our own export numbered the tracks of the file. A number that a tool chose does
        not count: CVAT numbers the parts of all tracks from 0, anew in each export.
      coded: the action that was coded for the time of the frame; None if none was.
      coded_at: the file with the coded time and the place in it; None without one.
      fields: {name: value as in the file} of the fields in `instance_fields.FIELDS`.
    """

    label: str
    parts: tuple[Segmentation, ...]
    where: str
    actor: str | None = None
    action: str | None = None
    track: int | None = None
    box: Any = None
    name: str | None = None
    number: int | None = None
    coded: str | None = None
    coded_at: str | None = None
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def action_at(self) -> str:
        """The file that states the action and the place in it, for errors."""
        return self.coded_at or self.where


def number_in_name(name: str | None) -> int | None:
    """Return a name as a number: 3 for '3'; None for 'Ann', '007' and None."""
    if name and re.fullmatch("0|[1-9][0-9]{0,8}", name):
        return int(name)
    return None


def check_tracks_differ(instances: Iterable[Instance]) -> None:
    """Raise InputError if two instances of a frame have one track."""
    first_of_track: dict[int, Instance] = {}
    for instance in instances:
        if instance.track is None:
            continue
        first = first_of_track.setdefault(instance.track, instance)
        if first is not instance:
            raise InputError(
                f"{instance.where}: track {instance.track} is in this frame twice, also"
                f" in {first.where}; remove one"
            )


class Counted(str, enum.Enum):
    """What the number of a frame refers to."""

    VIDEO_FRAMES = "video"
    """It counts the frames of the source video, from 1."""
    IMAGE_NAMES = "names"
    """It is the number in the image's name. The folder of images may begin at 0."""
    IMAGE_NAMES_FROM_0 = "names from 0"
    """It is the number in the image's name plus 1, unless the folder begins at 1."""
    TASK_IMAGES = "images"
    """It counts the images of the task, from 1.

    These are the frames of the video if the task has all of them.
    """


class Numbering(NamedTuple):
    """How a tool numbers the frames of a video.

    Attributes:
      kind: what a frame's number refers to.
      explanation: a line for the user: 'frame_000005 is frame 6'.
    """

    kind: Counted
    explanation: str


class FrameName(NamedTuple):
    """What the name of an image tells of its frame; see `AnnotatedFrame`."""

    video: str | None
    number: int
    numbering: Numbering
    folder: str = ""


@dataclasses.dataclass(frozen=True)
class AnnotatedFrame:
    """An annotated frame; one without instances shows only background.

    Attributes:
      path: the file; a member of a zip as 'task.zip/annotations.xml'.
      where: the file and the place in it, for errors: 'own.json: images[0]'.
      video: the video's name as in the file, without suffix; None if the file names
        none.
      number: 1-based number of the frame.
      numbering: what `number` refers to.
      size: (height, width) in pixels of the image that the coordinates refer to; None
        if it is that of the video.
      instances: the annotated instances.
      scaled: whether coordinates are scaled from `size` to the video's size, each axis
        separately; otherwise another size is an error.
      split: 'train' or 'test'; None if the file does not say.
      keeps_shape: whether a `scaled` frame must have the video's aspect ratio.
      folder: the relative path of the folder that contains the video's frames or their
        folder, without folders of splits. It tells two videos of one name apart.
    """

    path: pathlib.PurePath
    where: str
    video: str | None
    number: int
    numbering: Numbering
    size: tuple[int, int] | None
    instances: tuple[Instance, ...]
    scaled: bool = False
    split: str | None = None
    keeps_shape: bool = False
    folder: str = ""

    def fits(self, size: tuple[int, int]) -> bool:
        """Return whether the annotation fits a video of a size (height, width)."""
        height, width = self.size or size
        if (height, width) == tuple(size):
            return True
        if not self.scaled:
            return False
        ratio = height * size[1] / (width * size[0])
        return not self.keeps_shape or abs(ratio - 1) <= _ROUNDING


class ToolLabel(NamedTuple):
    """A label that a tool offers, with values of its attributes, see `Instance`."""

    label: str
    actor: str | None = None
    action: str | None = None


@dataclasses.dataclass
class Document:
    """The annotations of one file.

    Attributes:
      path: the file.
      format: name of its format, one of `readers.formats.FORMATS`.
      frames: the annotated frames, in the order of the file.
      left_out: {reason: the number of frames or shapes that were left out for it}.
      frame_count: the number of frames of the video; None if the tool does not say.
      frame_range: the frames of the video that the file covers, counted from 0; None if
        it does not say.
      task: the number of the task in the tool; None if the tool has no tasks.
      tool_labels: the labels that the tool lists, one for each pair of actor and
        action; empty if it lists none.
    """

    path: pathlib.PurePath
    format: str
    frames: list[AnnotatedFrame] = dataclasses.field(default_factory=list)
    left_out: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    frame_count: int | None = None
    frame_range: range | None = None
    task: int | None = None
    tool_labels: Sequence[ToolLabel] = ()

    def add(
        self,
        where: str,
        name: FrameName,
        size: tuple[int, int] | None,
        instances: Iterable[Instance],
        **fields: Any,
    ) -> None:
        """Add a frame.

        Args:
          where: the place in the file, for errors.
          name: what the image's name tells.
          size, instances, fields: values of attributes of `AnnotatedFrame`.
        """
        frame = AnnotatedFrame(
            self.path,
            f"{self.path}: {where}",
            video=name.video,
            number=name.number,
            numbering=name.numbering,
            size=size,
            instances=tuple(instances),
            folder=name.folder,
            **fields,
        )
        self.frames.append(frame)


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """The user's settings for reading an export.

    Attributes:
      format_name: one of `readers.formats.FORMATS`; None if the content tells it.
      first_frame: 0 or 1, the number of the first frame of a video file if the names of
        images number frames; None for the format's own, mostly 1.
      interpolated: whether a frame counts as annotated if all its shapes were
        interpolated.
      empty_frames: whether a listed frame without shapes counts as annotated if the
        tool does not say so itself.
      frame_step: the number of video frames from one sampled frame to the next.
      actor: the actor of instances whose file does not name their class; None if the
        user does not say.
      needs_actor: whether an instance needs an actor or a class number; otherwise its
        label may be "".
    """

    format_name: str | None = None
    first_frame: int | None = None
    interpolated: bool = False
    empty_frames: bool = False
    frame_step: int = 1
    actor: str | None = None
    needs_actor: bool = True

    def label(self, class_number: str | None = None) -> ToolLabel:
        """Return the label of an instance whose class has no name.

        It is the actor that the user states, or else the number of the class.

        Args:
          class_number: the number of the class, as text; None if there is none.

        Raises:
          InputError: there is neither. The message does not name the file.
        """
        if self.actor:
            return ToolLabel(self.actor, action="")  # a hyphen belongs to the actor
        if class_number is None and not self.needs_actor:
            return ToolLabel("", action="")
        if class_number is None:
            raise InputError(
                "names no actor; say whose tracks these are, as in --actor=mouse, or"
                " pass --labels of one actor; with a2d start after --: -- --actor=mouse"
            )
        return ToolLabel(class_number)


DEFAULTS = ReadOptions()
