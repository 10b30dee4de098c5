"""How tools number the frames of a video, and name them."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Counted(str, enum.Enum):
    """What the number of an annotated frame counts: frames of the video, or images."""

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
      kind: what the number of a frame counts.
      explanation: a sentence that explains the numbers to the user, such as 'CVAT
        counts from 0: its frame 5 is frame 6 of the video'.
    """

    kind: Counted
    explanation: str


class FrameName(NamedTuple):
    """What the name of an image, or a file, tells of an annotated frame.

    Attributes:
      video: the video's name without suffix; None if the name contains none.
      number: the number of the frame; `numbering` says what it counts.
      numbering: whether `number` counts frames of the video, names of images, or images
        of an annotation task.
      folder: the relative path of the folder that contains the video's frames or their
        folder, without folders of splits; '' if the name contains none.
    """

    video: str | None
    number: int
    numbering: Numbering
    folder: str = ""
