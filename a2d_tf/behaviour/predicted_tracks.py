"""Read the tracks of a prediction as a `TrackedVideo`, for exports of annotations."""

from __future__ import annotations

import collections
import itertools
import os
from typing import NamedTuple

from pycocotools import mask as rle_tools

from a2d_tf.annotations.writers.tracked_video import Shape, TrackedVideo, TrackShapes
from a2d_tf.behaviour.prediction_folder import (
    VIDEO_FILE,
    VideoInfo,
    answered_frames,
    read_tracks,
    read_video_info,
)
from a2d_tf.behaviour.track_masks import TrackMasks
from a2d_tf.core.checked_json import kind_of, number, whole
from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name


def read_tracked_video(
    folder: str | os.PathLike, min_score: float = 0.0, source: str | None = None
) -> TrackedVideo:
    """Read the tracks of a prediction, with their masks and labels.

    The labels are those of the tracks, which are steadier than those of single
    detections. In the result each track has one actor: a track that is taken for
    several actors becomes one track for each of them. Masks without a pixel are left
    out.

    Args:
      folder: the folder of a prediction, with `tracks.json`, `detections.json`,
        `label_maps` and `video.json`.
      min_score: tracks with a lower mean score are left out.
      source: the name of the video's file; by default that in `video.json`.

    Raises:
      InputError: a file is missing or damaged; the message names the field. Or the name
        of the video is no file name.
    """
    frames = answered_frames(folder)
    info = read_video_info(folder)
    source = source or info.name
    if not is_file_name(source):
        raise InputError(
            f"{os.path.join(folder, VIDEO_FILE)}: name: {quoted(source)} is not a file"
            " name; pass --video"
        )
    tracks = _read_tracks(folder, info, min_score)
    actions: dict[str, list[str]] = collections.defaultdict(list)
    for actor, action in info.labels.pairs.tolist():
        actions[info.labels.actors[actor]].append(info.labels.actions[action])
    frame_count = info.frames
    if frame_count is not None and frame_count < max(frames, default=0):
        frame_count = None  # a file may claim fewer frames than it has
    return TrackedVideo(
        source=source,
        images=info.images,
        size=info.size,
        frame_count=frame_count,
        frames=tuple(frames),
        actions={actor: tuple(names) for actor, names in actions.items()},
        tracks=_one_actor_each(tracks),
        boxes_only=info.boxes_only,
    )


class _Tracks(NamedTuple):
    """The tracks of a prediction.

    Attributes:
      shapes: {(number of a track, actor): its shapes, in order of time}.
      names: {number of a track: the name of its individual}.
    """

    shapes: dict[tuple[int, str], list[Shape]]
    names: dict[int, str]


def _read_tracks(
    folder: str | os.PathLike, info: VideoInfo, min_score: float
) -> _Tracks:
    """Read the tracks whose mean score is `min_score` or more."""
    labels = info.labels
    code = kind_of(
        lambda value: type(value) is int and labels.knows(value), "a code of its labels"
    )
    row_kind = {"frame": whole(), "category_id": code, "score": number(0, 1)}
    kind = {
        "track_id": whole(),
        "name?": str,
        "mean_score": number(0, 1),
        "frames": [row_kind],
    }
    masks = TrackMasks.read(folder, info.size)
    shapes: dict[tuple[int, str], list[Shape]] = collections.defaultdict(list)
    names = {}
    for track in read_tracks(folder, kind):
        if track["mean_score"] < min_score:
            continue
        track_id = track["track_id"]
        if "name" in track:
            names[track_id] = track["name"]
        for row in track["frames"]:
            frame = row["frame"]
            actor, action = labels.indices(row["category_id"])
            mask = masks.of(frame, track_id)
            if rle_tools.area(mask):
                shape = Shape(frame, labels.actions[action], mask, score=row["score"])
                shapes[track_id, labels.actors[actor]].append(shape)
    return _Tracks(shapes, names)


def _one_actor_each(found: _Tracks) -> tuple[TrackShapes, ...]:
    """Split tracks with several actors into tracks with one actor each, sorted by id.

    Of the actors of a track, the first in the order of the alphabet keeps the id; each
    other one gets a free id.
    """
    shapes = found.shapes
    largest_id = max((track_id for track_id, _ in shapes), default=0)
    free_ids = itertools.count(largest_id + 1)
    tracks: dict[int, TrackShapes] = {}
    for track_id, actor in sorted(shapes):
        new_id = track_id
        split_from = None
        if track_id in tracks:
            new_id = next(free_ids)
            split_from = track_id
        tracks[new_id] = TrackShapes(
            new_id,
            actor,
            tuple(shapes[track_id, actor]),
            split_from,
            found.names.get(track_id),
        )
    return tuple(tracks[track_id] for track_id in sorted(tracks))
