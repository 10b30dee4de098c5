"""The tracks of a video that writers export, and the choice of their key frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
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


def keep_key_frames(video: TrackedVideo, every: int) -> TrackedVideo:
    """Keep the key frames of a video, with all their shapes.

    A tool may interpolate between two key frames, up to `Shape.until`.

    Args:
      video: the tracks.
      every: the number of frames from one key frame to the next. The frames in which a
        track begins, ends or changes its action are key frames, too. If a track is
        missing for some frames, it ends before them and begins again.
    """
    key_frames = set()
    latest = -every
    for frame in video.frames:
        if frame >= latest + every:
            key_frames.add(frame)
            latest = frame
    video = _end_tracks_where_gone(video)
    for track in video.tracks:
        for index in _changes(track.shapes):
            key_frames.add(track.shapes[index].frame)
    return _only_frames(video, key_frames)


def interpolate_boxes(video: TrackedVideo, min_iou: float) -> TrackedVideo:
    """Let CVAT interpolate boxes wherever its interpolation is close enough.

    A track has key frames where it begins, ends or changes its action. Between two key
    frames, CVAT moves the box on a straight line. If a box there has an IoU of
    `min_iou` or less with CVAT's, the frame with the lowest IoU becomes a key frame.
    """

    def interpolate(shapes: Sequence[Shape]) -> list[Shape]:
        return _interpolated(shapes, min_iou)

    return _change_shapes(video, interpolate)


def select_frames(video: TrackedVideo, frames: Collection[int]) -> TrackedVideo:
    """Keep some frames of a video.

    Each shape ends one frame later, so that no tool interpolates between two of these
    frames.
    """

    def end_each(shapes: Sequence[Shape]) -> list[Shape]:
        ended = []
        for shape in shapes:
            until = None
            if shape.frame < video.last_frame:
                until = shape.frame + 1
            ended.append(dataclasses.replace(shape, until=until))
        return ended

    return _change_shapes(_only_frames(video, frames), end_each)


def _change_shapes(
    video: TrackedVideo, change: Callable[[Sequence[Shape]], list[Shape]]
) -> TrackedVideo:
    """Change the shapes of each track; drop tracks that have none left."""
    tracks = []
    for track in video.tracks:
        shapes = change(track.shapes)
        if shapes:
            tracks.append(dataclasses.replace(track, shapes=tuple(shapes)))
    return dataclasses.replace(video, tracks=tuple(tracks))


def _changes(shapes: Sequence[Shape]) -> list[int]:
    """Return the indices of shapes with which a track begins, ends or changes action.

    Returns:
      the indices, ascending.
    """
    indices = {0, len(shapes) - 1}
    for index in range(1, len(shapes)):
        before = shapes[index - 1]
        shape = shapes[index]
        if before.until or shape.until or before.action != shape.action:
            indices.add(index)
    return sorted(indices)


def _interpolated(shapes: Sequence[Shape], min_iou: float) -> list[Shape]:
    """Return the shapes of a track; those between key frames get interpolated boxes."""
    boxes = np.array([shape.box() for shape in shapes])
    frames = np.array([shape.frame for shape in shapes])
    result = list(shapes)
    key_indices = _changes(shapes)
    spans = list(zip(key_indices, key_indices[1:]))
    while spans:
        first, last = spans.pop()
        inner = slice(first + 1, last)
        progress = (frames[inner] - frames[first]) / (frames[last] - frames[first])
        progress = progress[:, None]
        line = (1 - progress) * boxes[first] + progress * boxes[last]
        ious = []
        for line_box, box in zip(line, boxes[inner]):
            ious.append(rle_tools.iou(line_box[None], box[None], [0])[0, 0])
        if ious and min(ious) <= min_iou:
            worst = first + 1 + ious.index(min(ious))
            spans.append((first, worst))
            spans.append((worst, last))
        else:
            for index, box in enumerate(line.tolist(), first + 1):
                result[index] = dataclasses.replace(shapes[index], interpolated_box=box)
    return result


def _only_frames(video: TrackedVideo, frames: Collection[int]) -> TrackedVideo:
    """Keep the shapes in some frames; drop tracks that have none there."""

    def keep(shapes: Sequence[Shape]) -> list[Shape]:
        return [shape for shape in shapes if shape.frame in frames]

    part = _change_shapes(video, keep)
    return dataclasses.replace(part, frames=tuple(sorted(frames)))


def _end_tracks_where_gone(video: TrackedVideo) -> TrackedVideo:
    """Set `Shape.until` of all shapes.

    It is the next frame of the video's `frames` if the track has no shape there,
    otherwise None.
    """
    next_frames = _next_frames(video)

    def end(shapes: Sequence[Shape]) -> list[Shape]:
        frames = {shape.frame for shape in shapes}
        ended = []
        for shape in shapes:
            until = next_frames.get(shape.frame)
            if until in frames:
                until = None
            ended.append(dataclasses.replace(shape, until=until))
        return ended

    return _change_shapes(video, end)


def _next_frames(video: TrackedVideo) -> dict[int, int]:
    """Return {frame: the next one} of a video's `frames`.

    The frame after the last one is a step later, if the video is that long.
    """
    next_frames = dict(zip(video.frames, video.frames[1:]))
    if not video.frames:
        return next_frames
    last = video.frames[-1]
    step = 1
    if len(video.frames) > 1:
        step = last - video.frames[-2]
    beyond = last + step
    if video.frame_count is not None and beyond <= video.frame_count:
        next_frames[last] = beyond
    return next_frames
