"""The tracks of a video as the writers take them, and the choice of key frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.video_names import name_of


@dataclasses.dataclass(frozen=True)
class Shape:
    """A track in one frame.

    Attributes:
      frame: 1-based number of the frame.
      action: what the actor does in it.
      mask: RLE {'size': [height, width], 'counts': text}, not empty.
      until: number of a later frame where the shape ends; None where it goes on to the
        next shape of its track, or to the end of the video. Mostly the track is gone
        there; but the next shape may begin in this frame.
      score: score of the detection, 0 to 1.
      interpolated_box: the box [x, y, width, height] that the tool interpolates in
        this frame; None in a key frame.
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
    """An actor that is followed through a video.

    Attributes:
      id: unique in the video.
      actor: its class.
      shapes: one for each frame that shows it, ascending by frame.
      split_from: id of the track from which it was split, because a track has one actor
        here; None if it was not.
      name: name of the individual; None if it has none.
    """

    id: int
    actor: str
    shapes: tuple[Shape, ...]
    split_from: int | None = None
    name: str | None = None

    @property
    def number(self) -> int:
        """The number of the track in pages, the overlay and summary.csv."""
        return self.id if self.split_from is None else self.split_from


class TrackedShape(NamedTuple):
    """A shape and the track that it is of."""

    track: TrackShapes
    shape: Shape


@dataclasses.dataclass(frozen=True)
class TrackedVideo:
    """The tracks of a video.

    Attributes:
      source: name of the video's file, 'clip1.mp4', or of its folder of images.
      images: file names of its images, in order; None for a video file.
      size: (height, width) of its frames, pixels.
      frame_count: number of its frames; None if unknown.
      frames: 1-based numbers of the frames that were looked at, ascending.
      actions: {actor: all actions that it can have}.
      tracks: the tracks, by id.
      boxes_only: whether masks only fill the boxes that were found. Then the boxes are
        written.
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
        """The name of the video in names of frames."""
        return name_of(self.source, is_folder=self.images is not None)

    @property
    def last_frame(self) -> int:
        """The number of the last frame that surely exists."""
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
    """Keep the key frames of a video, with all that is in them.

    Key frames are the first frame, the next that is `every` frames or more after it,
    and so on, and all frames where a track begins, ends or changes its action. A track
    that is missing for a time ends before that. So tools may interpolate between two
    key frames, up to `Shape.until`.
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
    """Let CVAT interpolate the boxes of each track that need no key frame.

    A track has key frames where it begins, ends or changes its action. Between two of
    them, CVAT moves the box on a straight line. If the IoU of a box with the one on the
    line is not above `min_iou`, the worst such frame becomes a key frame, too.
    """

    def interpolate(shapes: Sequence[Shape]) -> list[Shape]:
        return _interpolated(shapes, min_iou)

    return _change_shapes(video, interpolate)


def select_frames(video: TrackedVideo, frames: Collection[int]) -> TrackedVideo:
    """Keep these frames of a video.

    Each shape ends one frame later, so that no tool interpolates between two of them,
    even if the next of these frames has the track again.
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
    """Return the indices of the shapes where a track begins, ends or changes its
    action, ascending.
    """
    indices = {0, len(shapes) - 1}
    for index in range(1, len(shapes)):
        before = shapes[index - 1]
        shape = shapes[index]
        if before.until or shape.until or before.action != shape.action:
            indices.add(index)
    return sorted(indices)


def _interpolated(shapes: Sequence[Shape], min_iou: float) -> list[Shape]:
    """Return the shapes of a track, with an interpolated box except in key frames."""
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
    """Keep what is in these frames; drop tracks that are in none of them."""

    def keep(shapes: Sequence[Shape]) -> list[Shape]:
        return [shape for shape in shapes if shape.frame in frames]

    part = _change_shapes(video, keep)
    return dataclasses.replace(part, frames=tuple(sorted(frames)))


def _end_tracks_where_gone(video: TrackedVideo) -> TrackedVideo:
    """Set `Shape.until`.

    It is the next frame looked at if the track has no shape there; else None.
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
    """Return {frame looked at: the next one}.

    The one after the last is a step later, if the video is that long.
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
