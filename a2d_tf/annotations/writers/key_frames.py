"""The choice of the frames of a tracked video that are written for a tool."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo


def keep_key_frames(video: TrackedVideo, every: int) -> TrackedVideo:
    """Return a video with its key frames only, between which a tool interpolates.

    Key frames keep all their shapes. `Shape.until` is set, so that a tool does not
    interpolate over frames in which a track is missing.

    Args:
      video: the tracks in all frames.
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
    """Return a video in which CVAT interpolates boxes wherever it is exact enough.

    A track has key frames where it begins, ends or changes its action. Between two key
    frames, CVAT moves the box on a straight line. If a box there has an IoU of
    `min_iou` or less with CVAT's, the frame with the lowest IoU becomes a key frame. In
    the other frames `Shape.interpolated_box` is set.

    Args:
      video: the tracks in the frames to export.
      min_iou: the IoU, 0 to 1, that an interpolated box must exceed.
    """

    def interpolate(shapes: Sequence[Shape]) -> list[Shape]:
        return _interpolated(shapes, min_iou)

    return _change_shapes(video, interpolate)


def select_frames(video: TrackedVideo, frames: Collection[int]) -> TrackedVideo:
    """Return a video with some frames only, between which no tool interpolates.

    Each shape ends one frame later, unless that is behind the end of the video.

    Args:
      video: the tracks in all frames.
      frames: the 1-based numbers of the frames to keep.
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
    """Return the shapes of a track; those between key frames get interpolated boxes.

    Args:
      shapes: the shapes of the track, in the order of frames.
      min_iou: the IoU, 0 to 1, that an interpolated box must exceed.
    """
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
