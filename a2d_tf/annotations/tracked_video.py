"""The tracks of a video as the writers take them, and the choice of key frames."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Sequence

import numpy as np
from pycocotools import mask as rle_tools


def name_of(source: str, images: Sequence[str] | None) -> str:
    """Return the name of a video in names of frames: a file's without suffix, a
    folder's whole.
    """
    return source if images is not None else pathlib.PurePath(source).stem


@dataclasses.dataclass(frozen=True)
class Shape:
    """A track in one frame.

    Attributes:
      frame: 1-based number of the frame.
      mask: RLE {'size': [height, width], 'counts': text}, not empty.
      until: number of a later frame where the track is gone; None where it goes on to
        its next shape, or to the end of the video.
      score: of the detection, 0 to 1.
      drawn: the box that the tool interpolates in this frame; None in a key frame.
    """

    frame: int
    action: str
    mask: dict
    until: int | None = None
    score: float = 1.0
    drawn: list[float] | None = None

    def box(self) -> list[float]:
        """Return the box, of the mask or as it is drawn: x, y, width, height."""
        return self.drawn or rle_tools.toBbox(self.mask).tolist()

    def decoded(self) -> np.ndarray:
        """Return the mask, bool [height, width]."""
        return rle_tools.decode(self.mask).astype(bool)


@dataclasses.dataclass(frozen=True)
class TrackShapes:
    """An actor that is followed; `shapes` ascend, and `id` is unique in the video."""

    id: int
    actor: str
    shapes: tuple[Shape, ...]


@dataclasses.dataclass(frozen=True)
class TrackedVideo:
    """The tracks of a video.

    Attributes:
      source: name of the video's file, 'clip1.mp4', or of its folder of images.
      images: file names of its images, in order; None for a video file.
      size: (height, width) of its frames, pixels.
      frame_count: number of its frames; None if unknown.
      frames: 1-based numbers of the frames that were looked at, ascending.
      actions: {actor: its actions}, all that there can be.
      tracks: the tracks, by id.
      boxes_only: whether masks only fill the boxes that were found: then these are
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
        return name_of(self.source, self.images)

    def image(self, frame: int) -> str:
        """Return the file name of a frame's image: the user's own, or 00005.jpg for
        frame 5.
        """
        return f"{frame:05d}.jpg" if self.images is None else self.images[frame - 1]

    def by_frame(self) -> dict[int, list[tuple[TrackShapes, Shape]]]:
        """Return what is in each of `frames`, in the order of the tracks."""
        found: dict[int, list[tuple[TrackShapes, Shape]]] = {
            frame: [] for frame in self.frames
        }
        for track in self.tracks:
            for shape in track.shapes:
                found[shape.frame].append((track, shape))
        return found


def thinned(video: TrackedVideo, every: int) -> TrackedVideo:
    """Keep the key frames of a video, with all that is in them.

    Key frames are the first frame, the next that is `every` frames or more after it,
    and so on, and all frames where a track begins, ends or changes its action. A track
    that is missing for a time ends before that. So tools may interpolate between two
    key frames, up to `Shape.until`.
    """
    kept, latest = set(), -every
    for frame in video.frames:
        if frame >= latest + every:
            kept.add(frame)
            latest = frame
    video = _with_ends(video, video)
    for track in video.tracks:
        kept.update(track.shapes[i].frame for i in _changes(track.shapes))
    return _only(video, kept)


def _changes(shapes):
    """Indices of the shapes where a track begins, ends or changes its action,
    ascending.
    """
    steps = enumerate(zip(shapes, shapes[1:]), 1)
    inner = {i for i, (a, b) in steps if a.until or b.until or a.action != b.action}
    return sorted({0, len(shapes) - 1} | inner)


def few(video: TrackedVideo, min_iou: float) -> TrackedVideo:
    """Let CVAT interpolate the boxes of each track that need no key frame.

    A track has key frames where it begins, ends or changes its action; and, where the
    boxes between two of them on a straight line do not all have an IoU above `min_iou`,
    in the worst frame, too.
    """
    return _with_shapes(video, lambda shapes: _drawn(shapes, min_iou))


def _drawn(shapes, min_iou):
    """The shapes of a track, all but its key frames as they are interpolated."""
    found, kept = list(shapes), _changes(shapes)
    boxes, frames = (
        np.array([s.box() for s in shapes]),
        np.array([s.frame for s in shapes]),
    )
    spans = [*zip(kept, kept[1:])]
    while spans:
        first, last = spans.pop()
        inner = slice(first + 1, last)
        share = ((frames[inner] - frames[first]) / (frames[last] - frames[first]))[
            :, None
        ]
        drawn = (1 - share) * boxes[first] + share * boxes[last]
        pairs = zip(drawn, boxes[inner])
        ious = [rle_tools.iou(one[None], two[None], [0])[0, 0] for one, two in pairs]
        if ious and min(ious) <= min_iou:
            worst = first + 1 + ious.index(min(ious))
            spans += [(first, worst), (worst, last)]
        else:
            for i, box in enumerate(drawn.tolist(), first + 1):
                found[i] = dataclasses.replace(shapes[i], drawn=box)
    return found


def chosen(video: TrackedVideo, frames: Collection[int]) -> TrackedVideo:
    """Keep these frames of a video, with all that is in them; tracks end after each
    of them.
    """
    return _with_ends(_only(video, frames), video)


def _only(video, frames):
    """Leave out what is in other frames than these, and tracks that are in none of
    them.
    """
    part = _with_shapes(video, lambda shapes: [s for s in shapes if s.frame in frames])
    return dataclasses.replace(part, frames=tuple(sorted(frames)))


def _with_shapes(video, change):
    """Replace the shapes of each track by others, a track without any by none."""
    tracks = [
        dataclasses.replace(x, shapes=tuple(change(x.shapes))) for x in video.tracks
    ]
    return dataclasses.replace(
        video, tracks=tuple(track for track in tracks if track.shapes)
    )


def _with_ends(part, video):
    """Set `until` of each shape to the next frame looked at in `video`, if its track
    lacks that.

    Behind the last one looked at it is a step later, if the video is that long.
    """
    following = dict(zip(video.frames, video.frames[1:]))
    if video.frames:
        last = video.frames[-1]
        beyond = last + (last - video.frames[-2] if len(video.frames) > 1 else 1)
        if video.frame_count is not None and beyond <= video.frame_count:
            following[last] = beyond

    def ended(shapes: Sequence[Shape]) -> list[Shape]:
        after = {shape.frame: following.get(shape.frame) for shape in shapes}
        ends = [None if end in after else end for end in after.values()]
        return [
            dataclasses.replace(shape, until=end) for shape, end in zip(shapes, ends)
        ]

    return _with_shapes(part, ended)
