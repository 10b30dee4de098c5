"""What the numbers and blanks in the files of each tool mean.

Readers and writers take them from here. docs/data_format.md has the same table.
"""

from __future__ import annotations

import dataclasses

UNDEFINED = "__undefined__"
"""The value that CVAT gives to an attribute for which nobody has chosen one."""
_NO_VALUE = ("", UNDEFINED)


@dataclasses.dataclass(frozen=True)
class Conventions:
    """The conventions of a tool's files.

    Attributes:
      tool: what people call it.
      first_frame: its number of the first frame of a video.
      first_track: the number of the first track; None if its files have no tracks.
      numbers_tracks: whether the tool chooses the numbers of tracks, so that they are
        nobody's names, see `Instance.number`.
      unit: of times, 'frame' or 'second'.
      lists_empty: whether a listed frame without shapes is known to be empty.
      gap: what it means that a track has no shape in a frame.
      blanks: values of an attribute, or of a cell, that say nothing.
    """

    tool: str
    first_frame: int
    first_track: int | None
    numbers_tracks: bool = False
    unit: str = "frame"
    lists_empty: bool = False
    gap: str = "the track is not there"
    blanks: tuple[str, ...] = _NO_VALUE

    def frame(self, number: int) -> int:
        """Return the 1-based number of the frame that the tool calls `number`."""
        return number - self.first_frame + 1

    def number(self, frame: int) -> int:
        """Return what the tool calls a frame, given its 1-based number."""
        return frame - 1 + self.first_frame


OURS = Conventions(
    "pages, overlay, summary.csv", first_frame=1, first_track=1, lists_empty=True
)
OWN_JSON = Conventions("our own JSON", first_frame=1, first_track=1, lists_empty=True)
CVAT = Conventions(
    "CVAT's XML",
    first_frame=0,
    first_track=0,
    numbers_tracks=True,
    gap="interpolated between key frames; from `outside` on, the track is not there",
)
COCO_OF_CVAT = Conventions(
    "COCO of CVAT", first_frame=0, first_track=0, numbers_tracks=True
)
COCO_OF_LABEL_STUDIO = Conventions(
    "COCO of Label Studio", first_frame=1, first_track=None, lists_empty=True
)
COCO_OF_ROBOFLOW = Conventions(
    "COCO of Roboflow", first_frame=0, first_track=None, lists_empty=True
)
COCO = Conventions("COCO of others", first_frame=1, first_track=1)
COCO_OF_OURS = Conventions(
    "COCO of `a2d export-annotations`", first_frame=0, first_track=1, lists_empty=True
)
YOUTUBE_VIS = Conventions("YouTube-VIS", first_frame=0, first_track=1, lists_empty=True)
LABELME = Conventions("LabelMe, groups", first_frame=1, first_track=1, lists_empty=True)
YOLO = Conventions(
    "YOLO", first_frame=1, first_track=0, numbers_tracks=True, lists_empty=True
)
MASKS = Conventions("masks", first_frame=0, first_track=1, lists_empty=True)
BORIS = Conventions(
    "BORIS, image index",
    first_frame=1,
    first_track=None,
    unit="second",
    gap="not coded",
    blanks=("", "NA", "Not found", "No focal subject"),
)
ALL = (
    OURS,
    OWN_JSON,
    CVAT,
    COCO_OF_CVAT,
    COCO_OF_LABEL_STUDIO,
    COCO_OF_ROBOFLOW,
    COCO,
    COCO_OF_OURS,
    YOUTUBE_VIS,
    LABELME,
    YOLO,
    MASKS,
    BORIS,
)
