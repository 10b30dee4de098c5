"""The neutral form of an annotation export: annotated frames of videos, with their
instances.

The readers produce it, and `matching` finds the videos that it speaks of.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Union

from a2d_tf.core.errors import InputError, quoted

Segmentation = Union[list, dict]
"""A COCO segmentation: polygons [[x1, y1, x2, y2, ...], ...] or an RLE {'size',
'counts'}.
"""
# Least relative difference of aspect ratios that differ: sides are rounded, of videos
# to even ones.
_ROUNDING = 0.02


@dataclasses.dataclass(frozen=True)
class Instance:
    """One annotated instance of a frame.

    Attributes:
      label: the tool's name of the class: an actor, or 'actor-action'.
      parts: the segmentations whose union is the mask; none where only a box is
        annotated.
      where: the file and the place in it, for errors: 'own.json: annotations[3]'.
      actor, action: the attributes of these names; None where the tool has none.
      track: the tool's identity, unique in its video; None where it has none.
      box: [x, y, width, height] as annotated, in pixels; None for the box of the mask.
        A box may have no parts, but one or the other is there.
      name: what the tool's attribute 'name' says of the individual; None where there is
        none.
      coded: the action that was coded for the time of the frame; None if none was.
      fields: values of `instance_fields.FIELDS` as in the file, by name; None where
        there is none.
    """

    label: str
    parts: tuple[Segmentation, ...]
    where: str
    actor: str | None = None
    action: str | None = None
    track: int | None = None
    box: Any = None
    name: str | None = None
    coded: str | None = None
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)


class Numbering(NamedTuple):
    """How a tool numbers the frames of a video.

    Attributes:
      kind: what is counted. 'video': the frames of the source video, from 1; 'names':
        the number in the name of the image, whose folder may begin at 0; 'names from
        0': that number plus 1, unless the folder begins at 1; 'images': the images of
        the task, which tell frames only if the task has all of the video's.
      explanation: the same in one line for the user: 'frame_000005 is frame 6'.
    """

    kind: str
    explanation: str


class FrameName(NamedTuple):
    """A frame of a video; the fields are those of `AnnotatedFrame`."""

    video: str | None
    number: int
    numbering: Numbering
    folder: str = ""


@dataclasses.dataclass(frozen=True)
class AnnotatedFrame:
    """One annotated frame; without instances, it shows background alone.

    Attributes:
      path: the file; a member of a zip as 'task.zip/annotations.xml'.
      where: the file and the place in it, for errors: 'own.json: images[0]'.
      video: the video's name as in the file, without suffix; None where the file names
        none.
      number: 1-based number of the frame; see `numbering`.
      size: (height, width) of the image that the coordinates refer to; None for the
        video's own.
      scaled: whether coordinates are scaled from `size` to the video's size, each axis
        by itself; else another size is an error.
      split: 'train' or 'test'; None where the file does not say.
      keeps_shape: whether a `scaled` frame must have the video's shape, width to
        height.
      folder: relative folders around that of the video's frames, by which two videos of
        one name can be told apart; splits left out.
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
        """Return whether the annotation fits a video's (height, width), perhaps
        scaled.
        """
        height, width = self.size or size
        alike = abs(height * size[1] / (width * size[0]) - 1) <= _ROUNDING
        return (height, width) == tuple(size) or (
            self.scaled and (alike or not self.keeps_shape)
        )


@dataclasses.dataclass
class Document:
    """The annotations of one file, which its reader adds.

    Attributes:
      path: the file.
      format: name of its format, one of `formats.FORMATS`.
      frames: the annotated frames, in the order of the file.
      left_out: {reason: count} of frames and shapes that were left out.
      frame_count: the number of frames of the video, as far as the tool says; else
        None.
      shown: the frames of the video that the tool shows, counted from 0, as far as it
        says.
      task: number of the task in the tool; None if it has none. A task may be exported
        once.
      listed: an instance of each label and action that the tool lists; none if it lists
        none.
    """

    path: pathlib.PurePath
    format: str
    frames: list[AnnotatedFrame] = dataclasses.field(default_factory=list)
    left_out: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    frame_count: int | None = None
    shown: range | None = None
    task: int | None = None
    listed: Sequence[Instance] = ()

    def add(
        self,
        where: str,
        name: FrameName | str,
        size: tuple[int, int] | None,
        instances: Iterable[Instance],
        **fields: Any,
    ) -> None:
        """Add a frame; arguments as of `AnnotatedFrame`, but `where` without the file.

        Raises:
          InputError: the name is still a text, the image's, which is that of no frame.
        """
        place = f"{self.path}: {where}"
        if isinstance(name, str):
            problem = f"{quoted(name)} does not name a video frame"
            raise InputError(
                f"{place}: {problem}; rename images to <video>_<number>.jpg"
            )
        fields |= name._asdict()
        frame = AnnotatedFrame(
            self.path, place, size=size, instances=tuple(instances), **fields
        )
        self.frames.append(frame)


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """What the user says of an export.

    Attributes:
      interpolated: whether frames count as annotated whose shapes were all
        interpolated.
      empty_frames: whether listed frames without shapes count as annotated, where the
        tool does not say so itself.
      frame_step: of sampled frames, the number of video frames from one to the next.
    """

    interpolated: bool = False
    empty_frames: bool = False
    frame_step: int = 1


DEFAULTS = ReadOptions()
