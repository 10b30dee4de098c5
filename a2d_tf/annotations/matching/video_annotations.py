"""The annotations of a video, from one file or several."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from a2d_tf.annotations.documents.document import AnnotatedFrame, Document
from a2d_tf.annotations.documents.instance import Instance


@dataclasses.dataclass
class VideoAnnotations:
    """The annotations of one video, from one file or several.

    Attributes:
      frames: {1-based number of a frame in the video: its annotation}, in the order of
        the files.
      documents: the contents of the files that the frames come from.
      notes: sentences for the user on how files were matched to this video.
    """

    frames: dict[int, AnnotatedFrame] = dataclasses.field(default_factory=dict)
    documents: list[Document] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(
        self, number: int, frame: AnnotatedFrame, document: Document
    ) -> AnnotatedFrame | None:
        """Add an annotated frame, unless the video already has one of this number.

        Args:
          number: the 1-based number of the frame in the video.
          frame: the annotated frame.
          document: the document that contains it, which is added to `documents`.

        Returns:
          the frame that the video already has; None if the new one was added.
        """
        earlier = self.frames.get(number)
        if earlier is None:
            self.frames[number] = frame
            if not self.documents or self.documents[-1] is not document:
                self.documents.append(document)
        return earlier


def instances_of(annotations: Mapping[str, VideoAnnotations]) -> Iterator[Instance]:
    """Yield all annotated instances of all frames of some videos.

    Args:
      annotations: {name of a video: its annotations}.
    """
    for video_annotations in annotations.values():
        for frame in video_annotations.frames.values():
            yield from frame.instances
