"""Poses as instances: each is the box around the points of an individual."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from a2d_tf.annotations.documents.document import Document
from a2d_tf.annotations.documents.instance import (
    Instance,
    check_tracks_differ,
    number_in_name,
)
from a2d_tf.annotations.documents.numbering import FrameName
from a2d_tf.annotations.documents.read_options import ReadOptions
from a2d_tf.annotations.readers.container import File

MARGIN = 0.1
"""The margin on each side of a box, as a share of its longer side.

Points are on joints and tips, and the body reaches beyond them.
"""
_SINGLE_POINTS = "poses of a single point, which have no box"


class Pose(NamedTuple):
    """The pose of an individual in a frame, as the box around its points.

    Attributes:
      where: the file and the place in it, for errors.
      name: the user's name for the individual; None if there is none.
      track: the number of its track in the file; None if there is none.
      box: float64 [4], x, y, width and height in pixels, see `boxes_around`.
    """

    where: str
    name: str | None
    track: int | None
    box: np.ndarray


def boxes_around(points: np.ndarray) -> np.ndarray:
    """Return the boxes around the points of poses, with a margin on each side.

    The margin is `MARGIN`, a tenth, of the longer side of the box.

    Args:
      points: float64 [..., P, 2], the x and y of the P points of each pose in pixels;
        NaN for a missing point.

    Returns:
      float64 [..., 4] of x, y, width, height in pixels. A pose without points has NaN;
      a pose of a single point has a width and a height of 0.
    """
    is_missing = np.isnan(points).any(axis=-1, keepdims=True)
    low = np.where(is_missing, np.inf, points).min(axis=-2)
    high = np.where(is_missing, -np.inf, points).max(axis=-2)
    low[is_missing.all(axis=(-2, -1))] = np.nan
    size = high - low
    margin = MARGIN * size.max(axis=-1, keepdims=True)
    return np.concatenate([low - margin, size + 2 * margin], axis=-1)


def add_frame(
    document: Document,
    where: str,
    name: FrameName,
    poses: Iterable[Pose],
    options: ReadOptions,
) -> None:
    """Add a frame to a document, with an instance for each pose that has a box.

    Poses without points mean that the individual is absent. A frame without poses is
    left out and counted, because the tool may have missed the individuals, unless
    `options.empty_frames`. Poses of a single point are left out and counted, too.

    Args:
      document: the annotations of the file, to which the frame is added.
      where: the place of the frame in the file, for errors.
      name: the video and the number of the frame.
      poses: the poses of all individuals in the frame.
      options: states the actor of the poses, and whether empty frames count.

    Raises:
      InputError: two poses have one track, or the user does not state the actor.
    """
    instances = []
    has_single_point = False
    for pose in poses:
        if np.isnan(pose.box).any():
            continue
        if not pose.box[2:].any():
            document.left_out[_SINGLE_POINTS] += 1
            has_single_point = True
            continue
        label = options.label()
        instance = Instance(
            label=label.label,
            action=label.action,
            parts=(),
            where=pose.where,
            track=pose.track,
            box=pose.box.tolist(),
            name=pose.name,
            number=number_in_name(pose.name),
        )
        instances.append(instance)
    check_tracks_differ(instances)
    if instances or (options.empty_frames and not has_single_point):
        document.add(where, name, None, instances)
    else:
        document.left_out["frames without poses, which the tool may have missed"] += 1


def check_any(file: File, document: Document, options: ReadOptions) -> None:
    """Raise InputError if a document has no frames, because no pose has a box.

    Args:
      file: the file of poses, for the error.
      document: the annotations that were read from it.
      options: if empty frames count as annotated, nothing is checked.
    """
    if not document.frames and not options.empty_frames:
        raise file.error(
            "",
            "no pose has two points that were found; pass the file of a tracked video",
        )
