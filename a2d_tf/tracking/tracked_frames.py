"""Steady labels: what a track is and does is read from the frames around each frame."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import BoutModel
from a2d_tf.tracking.groups import Groups
from a2d_tf.tracking.track_labels import Around, BoutReader, read_label
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


class _Reading(NamedTuple):
    """How labels are read.

    Attributes:
      labels, window, joint: as for `track_instances`.
      bout_reader: reads them as long as bouts last; None without a bout model.
    """

    labels: LabelSpace
    window: int
    joint: bool
    bout_reader: BoutReader | None


def track_instances(
    answers: Iterable[tuple[Any, FoundInstances]],
    labels: LabelSpace,
    groups: Groups | None = None,
    *,
    window: int = WINDOW,
    patience: int = PATIENCE,
    joint: bool = False,
    bout_model: BoutModel | None = None,
) -> Iterator[TrackedFrame]:
    """Add tracks and steady labels to the instances of every answered frame.

    The label of an instance is read from the track's detections in the `window` frames
    around it, so that it does not lag; a frame is yielded once the window // 2 frames
    after it are there, or as many as the bout model looks ahead.

    Args:
      answers: (frame, its instances) in order; a frame may be anything.
      groups, window, patience: as for `Tracker`; a window of 1 keeps the network's own
        labels.
      joint: as for `read_label`.
      bout_model: how long actions last, in answered frames; actions are then read from
        all frames up to `bout_model.ahead` later, unless the window is 1.

    Returns:
      the frames in the same order.
    """
    ahead = bout_model.ahead if bout_model else 0
    tracker = Tracker(labels, groups, window=window, ahead=ahead, patience=patience)
    return read_labels(
        answers,
        tracker.add,
        labels,
        window=window,
        joint=joint,
        bout_model=bout_model,
    )


def read_labels(
    answers: Iterable[tuple[Any, FoundInstances]],
    link: Callable[[Any], LinkedInstances],
    labels: LabelSpace,
    *,
    window: int = WINDOW,
    joint: bool = False,
    bout_model: BoutModel | None = None,
) -> Iterator[TrackedFrame]:
    """Add steady labels to the instances of every answered frame, which are linked.

    Args:
      link: returns the tracks of the instances of the next answered frame.
      answers, labels, window, joint, bout_model: as for `track_instances`.

    Yields:
      the frames in the same order.
    """
    ahead = window // 2
    bout_reader = None
    if bout_model is not None and window > 1:
        ahead = max(ahead, bout_model.ahead)
        bout_reader = BoutReader(bout_model, labels, joint)
    reading = _Reading(labels, window, joint, bout_reader)
    pending_frames: collections.deque[_PendingFrame] = collections.deque()
    for index, (frame, instances) in enumerate(answers):
        linked = link(instances)
        pending_frames.append(_PendingFrame(index, frame, instances, linked))
        if len(pending_frames) > ahead:
            yield _read_frame(pending_frames.popleft(), reading)
    while pending_frames:
        yield _read_frame(pending_frames.popleft(), reading)


def _read_frame(pending, reading):
    """Read the labels of the tracks in a frame from the frames around it."""
    window = reading.window
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
        if reading.bout_reader is None:
            codes[i], scores[i] = read_label(
                detections, reading.labels, track.label, reading.joint
            )
        else:
            around = _around(track.detections, pending.frame_index, detections)
            codes[i], scores[i] = reading.bout_reader.read(track, around)
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


def _around(detections, frame_index, window):
    """Return the detections of a track around that in a frame."""
    current, *later = itertools.dropwhile(
        lambda detection: detection.frame_index < frame_index, detections
    )
    return Around(current, window, later)
