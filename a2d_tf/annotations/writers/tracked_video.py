"""The tracks of a video that writers export."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.matching.video_names import name_of


@dataclasses.dataclass(frozen=True)
class Shape:
    """The shape of a track in one frame.

    Attributes:
      frame: the 1-based number of the frame.
      action: the action of the track in this frame.
      mask: the mask in COCO's RLE, {'size': [height, width], 'counts': text}, not
        empty.
      until: the number of the later frame in which the shape ends: the track is gone
        there, or its next shape begins. None if the shape lasts to the next shape of
        its track, or to the end of the video.
      score: the score of the detection, 0 to 1.
      interpolated_box: the box [x, y, width, height], in pixels, that the annotation
        tool interpolates in this frame; None in a key frame.
    """

    frame: int
    action: str
    mask: dict
    until: int | None = None
    score: float = 1.0
    interpolated_box: list[float] | None = None

    def box(self) -> list[float]:
        """Return the box [x, y, width, height] in pixels.

        It is the interpolated box, or else the box around the mask.
        """
        return self.interpolated_box or rle_tools.toBbox(self.mask).tolist()

    def decoded(self) -> np.ndarray:
        """Return the mask as bool [height, width] of the frame."""
        return rle_tools.decode(self.mask).astype(bool)


@dataclasses.dataclass(frozen=True)
class TrackShapes:
    """A track of one actor, with its shapes in the frames that are exported.

    Attributes:
      id: the number of the track, unique in the video.
      actor: the name of its actor.
      shapes: a shape for each frame that shows the track, ascending by frame.
      split_from: the id of the track of several actors of which it is a part; None if
        it is a whole track.
      name: the name of the individual; None if it has none.
    """

    id: int
    actor: str
    shapes: tuple[Shape, ...]
    split_from: int | None = None
    name: str | None = None

    @property
    def number(self) -> int:
        """The number of the track on a prediction's pages and in its summary.csv.

        If a track of several actors was split into parts of one actor each, all parts
        have its number.
        """
        return self.id if self.split_from is None else self.split_from


class TrackedShape(NamedTuple):
    """A shape and the track that it belongs to.

    Attributes:
      track: the track.
      shape: the shape of the track in one frame.
    """

    track: TrackShapes
    shape: Shape


@dataclasses.dataclass(frozen=True)
class TrackedVideo:
    """The tracks of a video that are exported to an annotation tool.

    Attributes:
      source: the name of the video's file, 'clip1.mp4', or of its folder of images.
      images: the file names of its images, in order; None for a video file.
      size: (height, width) of its frames in pixels.
      frame_count: the number of its frames; None if unknown.
      frames: the 1-based numbers of the frames to export, ascending.
      actions: {actor: the names of all actions that it can have}.
      tracks: the tracks, by id.
      boxes_only: whether the network predicted boxes alone. Then each mask fills its
        box, and boxes are exported.
    """

    source: str
    images: tuple[str, ...] | None
    size: tuple[int, int]
    frame_count: int | None
    frames: tuple[int, ...]
    actions: dict[str, tuple[str, ...]]
    tracks: tuple[TrackShapes, ...]
    boxes_only: bool = False

    @property
    def name(self) -> str:
        """The name of the video: its file's without suffix, or its folder's."""
        return name_of(self.source, is_folder=self.images is not None)

    @property
    def last_frame(self) -> int:
        """The 1-based number of the last frame that is known to exist.

        It is the last of `frames` if the length of the video is unknown.
        """
        if self.frame_count is not None:
            return self.frame_count
        return max(self.frames, default=0)

    def image(self, frame: int) -> str:
        """Return the file name of a frame's image.

        It is the user's own, or 00005.jpg for frame 5 of a video file.

        Args:
          frame: the 1-based number of the frame.
        """
        if self.images is None:
            return f"{frame:05d}.jpg"
        return self.images[frame - 1]

    def by_frame(self) -> dict[int, list[TrackedShape]]:
        """Return {1-based number of a frame: its shapes in the order of the tracks}."""
        shapes: dict[int, list[TrackedShape]] = {}
        for frame in self.frames:
            shapes[frame] = []
        for track in self.tracks:
            for shape in track.shapes:
                shapes[shape.frame].append(TrackedShape(track, shape))
        return shapes
