"""Tracks and steady labels for answered frames.

A steady label says what a track is and does, read from several frames around a frame.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import BoutModel
from a2d_tf.tracking.groups import Groups
from a2d_tf.tracking.structures import (
    FoundInstances,
    InstanceTracker,
    LinkedInstances,
)
from a2d_tf.tracking.track_labels import LabelReader
from a2d_tf.tracking.tracker import PATIENCE, SURE, WINDOW, Tracker


class TrackedFrame(NamedTuple):
    """An answered frame with the tracks and the steady labels of its N instances.

    Attributes:
      frame: the frame, as the caller passed it.
      instances: the frame's instances, as the caller passed them.
      ids: int64 [N], numbers of the tracks; 0 for an instance without a track.
      codes: int64 [N], labels of the tracks; the network's label for an instance
        without a track.
      scores: float64 [N], scores of `codes`.
      pair_scores: float64 [N, |X|, |Y|], the score of each pair, see `TrackLabel`; 0
        for an instance without a track.
      resting: ids of the tracks that are lost from this frame on and may continue.
      ended: ids of the tracks that are lost from this frame on and have ended.
      extra: number of instances beyond the number of individuals, see
        `LinkedInstances`.
    """

    frame: Any
    instances: Any
    ids: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    pair_scores: np.ndarray
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
    sure: float = SURE,
    joint_scores: bool = False,
    bout_model: BoutModel | None = None,
) -> Iterator[TrackedFrame]:
    """Add tracks and steady labels to the instances of every answered frame.

    The label of an instance is read from the track's detections in `window` frames,
    half of them before and half after its frame, so that labels do not lag. A frame is
    yielded when its later frames have come: window // 2 of them, or as many as the bout
    model looks ahead.

    Args:
      answers: (frame, its instances) in order; a frame may be any object.
      labels: actors and actions.
      groups: numbers of individuals, see `Tracker`; None if no number is known.
      window: number of frames that a label is read from; 1 keeps the network's labels.
      patience: number of answered frames in a row that may miss a track before it is
        lost.
      sure: least p(any actor) with which an instance begins a track.
      joint_scores: whether p(action) is a sum over actors, see `LabelReader`.
      bout_model: model that reads the actions; None to read them from the window. A
        window of 1 does not use the model.

    Returns:
      an iterator of the frames in the same order.
    """
    ahead = bout_model.ahead if bout_model else 0
    tracker = Tracker(
        labels, groups, window=window, ahead=ahead, patience=patience, sure=sure
    )
    return read_labels(
        answers,
        tracker,
        labels,
        window=window,
        joint_scores=joint_scores,
        bout_model=bout_model,
    )


def read_labels(
    answers: Iterable[tuple[Any, FoundInstances]],
    tracker: InstanceTracker,
    labels: LabelSpace,
    *,
    window: int = WINDOW,
    joint_scores: bool = False,
    bout_model: BoutModel | None = None,
) -> Iterator[TrackedFrame]:
    """Add steady labels to the instances of every answered frame.

    Args:
      answers: (frame, its instances) in order; a frame may be any object.
      tracker: assigns the instances to tracks.
      labels: actors and actions.
      window: number of frames that a label is read from; 1 keeps the network's labels.
      joint_scores: whether p(action) is a sum over actors, see `LabelReader`.
      bout_model: model that reads the actions; None to read them from the window.

    Yields:
      the frames in the same order.
    """
    reader = LabelReader(labels, window, joint_scores, bout_model)
    pending_frames: collections.deque[_PendingFrame] = collections.deque()
    for index, (frame, instances) in enumerate(answers):
        linked = tracker.add(instances)
        pending_frames.append(_PendingFrame(index, frame, instances, linked))
        if len(pending_frames) > reader.ahead:
            yield _read_frame(pending_frames.popleft(), reader, labels)
    while pending_frames:
        yield _read_frame(pending_frames.popleft(), reader, labels)


def _read_frame(
    pending: _PendingFrame, reader: LabelReader, labels: LabelSpace
) -> TrackedFrame:
    """Read the labels of the tracks in a frame."""
    linked = pending.linked
    ids = np.zeros(len(linked.tracks), np.int64)
    codes = np.array(pending.instances.codes, np.int64)
    scores = np.array(pending.instances.scores, np.float64)
    pair_scores = np.zeros((len(ids), len(labels.actors), len(labels.actions)))
    for i, track in enumerate(linked.tracks):
        if track is not None:
            label = reader.read(track, pending.frame_index)
            ids[i] = track.id
            codes[i] = label.code
            scores[i] = label.score
            pair_scores[i] = label.pair_scores
    reader.forget(linked.ended)
    return TrackedFrame(
        frame=pending.frame,
        instances=pending.instances,
        ids=ids,
        codes=codes,
        scores=scores,
        pair_scores=pair_scores,
        resting=linked.resting,
        ended=linked.ended,
        extra=linked.extra,
    )
