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
