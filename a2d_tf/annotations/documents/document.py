"""The neutral form of an annotation file: annotated frames with their instances.

The readers of formats produce documents, and `matching` finds their videos.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from a2d_tf.annotations.documents.instance import Instance
from a2d_tf.annotations.documents.numbering import FrameName, Numbering

# Largest relative difference of two aspect ratios that count as equal: tools round the
# sides of images, and encoders those of videos to even numbers.
_ROUNDING = 0.02


@dataclasses.dataclass(frozen=True)
class AnnotatedFrame:
    """A frame of a video that somebody annotated, with its instances.

    A frame without instances shows only background.

    Attributes:
      path: the file with the annotation; a member of a zip is
        'task.zip/annotations.xml'.
      where: the file and the place in it, for errors: 'own.json: images[0]'.
      video: the video's name as in the file, without suffix; None if the file names
        none.
      number: the number of the frame; `numbering` says what it counts.
      numbering: whether `number` counts frames of the video, names of images, or images
        of an annotation task.
      size: (height, width) in pixels of the image that the coordinates refer to; None
        if that image has the size of the video.
      instances: the annotated instances of the frame.
      scaled: whether coordinates are scaled from `size` to the video's size, each axis
        separately. Otherwise it is an error if the two sizes differ.
      split: 'train' or 'test', if the file assigns the frame to a split; None if not.
      keeps_shape: whether the `size` of a `scaled` frame must have the video's aspect
        ratio.
      folder: the relative path of the folder that contains the video's frames or their
        folder, without folders of splits ('train/'). It tells two videos of one name
        apart; '' if the file does not say.
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
        """Return whether the size that the annotation states suits a video.

        It must be the video's size, unless the frame is `scaled`. Then any size suits
        or, with `keeps_shape`, any size whose aspect ratio differs by at most 2 %.

        Args:
          size: (height, width) of the video's frames, in pixels.
        """
        height, width = self.size or size
        if (height, width) == tuple(size):
            return True
        if not self.scaled:
            return False
        ratio = height * size[1] / (width * size[0])
        return not self.keeps_shape or abs(ratio - 1) <= _ROUNDING


class ToolLabel(NamedTuple):
    """A label that an annotation tool offers to choose from.

    Attributes:
      label: the tool's name of the class: an actor, or 'actor-action'.
      actor: a value that the attribute 'actor' may have with this label; None if the
        label has no such attribute.
      action: a value that the attribute 'action' may have; None if the label has no
        such attribute.
    """

    label: str
    actor: str | None = None
    action: str | None = None


@dataclasses.dataclass
class Document:
    """The annotations of one file, or of one task in a file of several.

    A reader makes it. Afterwards `matching` finds the videos of its frames.

    Attributes:
      path: the file; for formats that need all files of a folder, the folder.
      format: the name of its format, one of `readers.formats.FORMATS`, such as 'coco'.
      frames: the annotated frames, in the order of the file.
      left_out: {reason: the number of frames or shapes that were left out for it}.
      frame_count: the number of frames of the video; None if the tool does not say.
      frame_range: the frames of the video that the file covers, annotated or not,
        counted from 0; None if it does not say.
      task: the number of the task in the tool; None if the tool has no tasks.
      tool_labels: the labels that the tool offers, one for each pair of actor and
        action; empty if the file lists none.
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
        """Add an annotated frame to `frames`.

        Args:
          where: the place of the frame in the file, for errors: 'images[0]'.
          name: the video and the number of the frame, as the image's name or the file
            tells.
          size: (height, width) in pixels of the image that the coordinates refer to;
            None if that image has the size of the video.
          instances: the annotated instances of the frame; none if it shows only
            background.
          fields: values of further attributes of `AnnotatedFrame`: `scaled`, `split`,
            `keeps_shape`.
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
