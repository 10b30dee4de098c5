"""How tools number the frames of a video, and name them."""

from __future__ import annotations

import enum
from typing import NamedTuple


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
