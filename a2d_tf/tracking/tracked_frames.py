"""Steady labels: what a track is and does is read from the frames around each frame."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.groups import Groups
from a2d_tf.tracking.track_labels import read_label
from a2d_tf.tracking.tracker import (
    PATIENCE,
    WINDOW,
    FoundInstances,
    LinkedInstances,
    Tracker,
)


class TrackedFrame(NamedTuple):
    """An answered frame with the tracks and the steady labels of its N instances.

    Attributes:
      frame, instances: as they were given to `track_instances`.
      ids: int64 [N], of the tracks; 0 is no track.
      codes: int64 [N], the labels of the tracks; without a track the network's own.
      scores: float64 [N], of `codes`.
      resting, ended, extra: as of `LinkedInstances`.
    """

    frame: Any
    instances: Any
    ids: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    resting: Sequence[int]
    ended: Sequence[int]
    extra: int


class _PendingFrame(NamedTuple):
    """A frame whose instances are linked, and whose labels are still to be read."""

    frame_index: int
    frame: Any
    instances: FoundInstances
    linked: LinkedInstances


def track_instances(
    answers: Iterable[tuple[Any, FoundInstances]],
    labels: LabelSpace,
    groups: Groups | None = None,
    *,
    window: int = WINDOW,
    patience: int = PATIENCE,
    joint: bool = False,
) -> Iterator[TrackedFrame]:
    """Add tracks and steady labels to the instances of every answered frame.

    The label of an instance is read from the track's detections in the `window` frames
    around it, so that it does not lag; a frame is yielded once the window // 2 frames
    after it are there.

    Args:
      answers: (frame, its instances) in order; a frame may be anything.
      groups, window, patience: as for `Tracker`; a window of 1 keeps the network's own
        labels.
      joint: as for `read_label`.

    Returns:
      the frames in the same order.
    """
    tracker = Tracker(labels, groups, window=window, patience=patience)
    return read_labels(answers, tracker.add, labels, window=window, joint=joint)


def read_labels(
    answers: Iterable[tuple[Any, FoundInstances]],
    link: Callable[[Any], LinkedInstances],
    labels: LabelSpace,
    *,
    window: int = WINDOW,
    joint: bool = False,
) -> Iterator[TrackedFrame]:
    """Add steady labels to the instances of every answered frame, which are linked.

    Args:
      link: returns the tracks of the instances of the next answered frame.
      answers, labels, window, joint: as for `track_instances`.

    Yields:
      the frames in the same order.
    """
    pending_frames: collections.deque[_PendingFrame] = collections.deque()
    for index, (frame, instances) in enumerate(answers):
        linked = link(instances)
        pending_frames.append(_PendingFrame(index, frame, instances, linked))
        if len(pending_frames) > window // 2:
            yield _read_frame(pending_frames.popleft(), labels, window, joint)
    while pending_frames:
        yield _read_frame(pending_frames.popleft(), labels, window, joint)


def _read_frame(pending, labels, window, joint):
    """Read the labels of the tracks in a frame from the frames around it."""
    last = pending.frame_index + window // 2
    first = last - window + 1
    ids = np.zeros(len(pending.linked.tracks), np.int64)
    codes = np.array(pending.instances.codes, np.int64)
    scores = np.array(pending.instances.scores, np.float64)
    for i, track in enumerate(pending.linked.tracks):
        if track is None:
            continue
        detections = [x for x in track.detections if first <= x.frame_index <= last]
        ids[i] = track.id
        codes[i], scores[i] = read_label(detections, labels, track.label, joint)
        if window > 1:
            track.label = int(codes[i])
    return TrackedFrame(
        frame=pending.frame,
        instances=pending.instances,
        ids=ids,
        codes=codes,
        scores=scores,
        resting=pending.linked.resting,
        ended=pending.linked.ended,
        extra=pending.linked.extra,
    )
