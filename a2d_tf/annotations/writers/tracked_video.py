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
      frame: 1-based number of the frame.
      action: the action of the track in this frame.
      mask: RLE {'size': [height, width], 'counts': text}, not empty.
      until: number of the later frame in which the shape ends: the track is gone there,
        or its next shape begins. None if the shape lasts to the next shape of its
        track, or to the end of the video.
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
        """Return the box [x, y, width, height]: the interpolated one, or the mask's."""
        return self.interpolated_box or rle_tools.toBbox(self.mask).tolist()

    def decoded(self) -> np.ndarray:
        """Return the mask, bool [height, width]."""
        return rle_tools.decode(self.mask).astype(bool)


@dataclasses.dataclass(frozen=True)
class TrackShapes:
    """A track with its shapes; it has one actor.

    Attributes:
      id: the number of the track, unique in the video.
      actor: its actor class.
      shapes: one for each frame that shows it, ascending by frame.
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
        """The number of the track on pages, in the overlay and in summary.csv."""
        return self.id if self.split_from is None else self.split_from


class TrackedShape(NamedTuple):
    """A shape and its track."""

    track: TrackShapes
    shape: Shape


@dataclasses.dataclass(frozen=True)
class TrackedVideo:
    """The tracks of a video.

    Attributes:
      source: the name of the video's file, 'clip1.mp4', or of its folder of images.
      images: the file names of its images, in order; None for a video file.
      size: (height, width) of its frames in pixels.
      frame_count: the number of its frames; None if unknown.
      frames: 1-based numbers of the frames to export, ascending.
      actions: {actor: all actions that it can have}.
      tracks: the tracks, by id.
      boxes_only: whether the network predicted boxes, which the masks fill. Then boxes
        are written.
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
        """The name of the video, as in the names of its frames."""
        return name_of(self.source, is_folder=self.images is not None)

    @property
    def last_frame(self) -> int:
        """The number of the last frame that is known to exist."""
        if self.frame_count is not None:
            return self.frame_count
        return max(self.frames, default=0)

    def image(self, frame: int) -> str:
        """Return the file name of a frame's image.

        It is the user's own, or 00005.jpg for frame 5 of a video file.
        """
        if self.images is None:
            return f"{frame:05d}.jpg"
        return self.images[frame - 1]

    def by_frame(self) -> dict[int, list[TrackedShape]]:
        """Return {frame: its shapes in the order of the tracks}."""
        shapes: dict[int, list[TrackedShape]] = {}
        for frame in self.frames:
            shapes[frame] = []
        for track in self.tracks:
            for shape in track.shapes:
                shapes[shape.frame].append(TrackedShape(track, shape))
        return shapes
