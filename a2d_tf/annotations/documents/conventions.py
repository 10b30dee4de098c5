"""What the numbers and blanks in the files of each tool mean.

Readers and writers take the conventions that they need from here. docs/data_format.md
shows all of them in a table.
"""

from __future__ import annotations

import dataclasses
import enum

UNDEFINED = "__undefined__"
"""The value that CVAT gives to an attribute for which nobody has chosen one."""
NO_VALUE = ("", UNDEFINED)
"""Values of an attribute that say nothing."""
OUR_DESCRIPTION = "a2d_tf"
"""The `info.description` of a prediction that we export as COCO."""


class Tracks(str, enum.Enum):
    """Who chose the numbers of the tracks in a file: nobody, the tool, or the user."""

    NONE = "has none"
    TOOL = "the tool"
    """Such a number is nobody's name: it may be another one in the next export."""
    USER = "you"
    OURS = "as pages"
    """Our own export: the numbers of pages, of the overlay and of summary.csv."""


@dataclasses.dataclass(frozen=True)
class Conventions:
    """What the numbers and blanks in the files of one annotation tool mean.

    There is one object for each tool, such as `CVAT` or `MOT`.

    Attributes:
      tool: what people call the tool.
      first_frame: the number that the tool gives to the first frame of a video, 0 or 1.
      tracks: who has chosen the numbers of the tracks.
      first_track: the lowest number that a track can have.
      lists_empty: whether a frame that the file lists without shapes was annotated, and
        shows background only. Otherwise nobody may have looked at it.
      blanks: the texts that mean "no value" in an attribute of a shape, or in a cell.
    """

    tool: str
    first_frame: int
    tracks: Tracks
    first_track: int = 0
    lists_empty: bool = True
    blanks: tuple[str, ...] = NO_VALUE

    def frame(self, number: int) -> int:
        """Return the 1-based number of a frame in its video.

        Args:
          number: the number that the tool gives to the frame, counted from
            `first_frame`.
        """
        return number - self.first_frame + 1

    def number(self, frame: int) -> int:
        """Return the number that the tool gives to a frame, counted from `first_frame`.

        Args:
          frame: the 1-based number of the frame in its video.
        """
        return frame - 1 + self.first_frame

    @property
    def tracks_have_names(self) -> bool:
        """Whether the user knows individuals by the numbers of their tracks.

        This is so if the user chose the numbers, or if they are those of our own pages.
        """
        return self.tracks in (Tracks.USER, Tracks.OURS)


CVAT = Conventions("CVAT's XML", first_frame=0, tracks=Tracks.TOOL, lists_empty=False)
COCO_OF_CVAT = Conventions(
    "COCO of CVAT", first_frame=0, tracks=Tracks.TOOL, lists_empty=False
)
COCO_OF_OURS = Conventions(
    "COCO of ours", first_frame=0, tracks=Tracks.OURS, first_track=1
)
COCO_OF_LABEL_STUDIO = Conventions(
    "COCO of Label Studio", first_frame=1, tracks=Tracks.NONE
)
COCO_OF_ROBOFLOW = Conventions("COCO of Roboflow", first_frame=0, tracks=Tracks.NONE)
COCO = Conventions(
    "COCO of others", first_frame=1, tracks=Tracks.USER, lists_empty=False
)
YOUTUBE_VIS = Conventions("YouTube-VIS", first_frame=0, tracks=Tracks.USER)
LABELME = Conventions("LabelMe", first_frame=1, tracks=Tracks.USER)
YOLO = Conventions("YOLO", first_frame=1, tracks=Tracks.TOOL)
MOT = Conventions("MOT", first_frame=1, tracks=Tracks.TOOL, lists_empty=False)
DEEPLABCUT = Conventions(
    "DeepLabCut", first_frame=0, tracks=Tracks.TOOL, lists_empty=False
)
SLEAP = Conventions("SLEAP", first_frame=0, tracks=Tracks.TOOL, lists_empty=False)
MASKS = Conventions("masks", first_frame=0, tracks=Tracks.USER, first_track=1)
OWN_JSON = Conventions("our own JSON", first_frame=1, tracks=Tracks.USER)
PAGES = Conventions(
    "pages, summary.csv", first_frame=1, tracks=Tracks.OURS, first_track=1
)
BORIS = Conventions(
    "BORIS",
    first_frame=1,  # of images, which it counts
    tracks=Tracks.NONE,
    blanks=("", "NA", "Not found", "No focal subject"),
)
