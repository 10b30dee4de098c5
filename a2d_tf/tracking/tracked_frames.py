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
    """An answered (predicted) frame with tracks and steady labels of its N instances.

    Attributes:
      frame: the frame, as the caller passed it.
      instances: the frame's instances, as the caller passed them.
      ids: int64 [N], the number of each instance's track, from 1; 0 for an instance
        without a track.
      codes: int64 [N], the code of actor and action of each instance's track; the
        network's own code for an instance without a track.
      scores: float64 [N], the scores of `codes`, from 0 to 1.
      pair_scores: float64 [N, |X|, |Y|], the score of each pair of actor and action:
        the mean of p(actor) p(action) over the window; 0 for an instance without a
        track.
      resting: ids of the tracks that are lost from this frame on, and continue if the
        individual appears again.
      ended: ids of the tracks that are lost from this frame on, and never continue.
      extra: number of sure instances that have no track because their group already
        has as many tracks as individuals.
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
    """Link the instances of a video to tracks, and read the tracks' steady labels.

    An answered frame is a frame that the network has predicted. The label of an
    instance is read from the track's detections in `window` frames, half of them before
    and half after its frame, so that labels do not lag. A frame is yielded when its
    later frames have come: window // 2 of them, or as many as the bout model looks
    ahead.

    Args:
      answers: (frame, its instances) of each answered frame of a video in order; a
        frame may be any object.
      labels: the label space of the instances' codes.
      groups: groups of actors with their numbers of individuals; None if no number is
        known.
      window: number of answered frames that a label is read from; 1 keeps the network's
        labels.
      patience: number of answered frames in a row that may miss a track before it is
        lost.
      sure: least p(any actor) with which an instance begins a track.
      joint_scores: whether the instances' p(action) is a sum over actors of p(actor)
        p(action), as with cartesian and hierarchical labels.
      bout_model: hidden Markov model that reads the actions; None to read them from the
        window. A window of 1 does not use the model.

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
    """Link the instances of a video by a given tracker, and read steady labels.

    `track_instances` is the same with a new `Tracker`. An answered frame is a frame
    that the network has predicted. A steady label is read from several of them.

    Args:
      answers: (frame, its instances) of each answered frame of a video in order; a
        frame may be any object.
      tracker: a tracker that has seen no frame yet; it assigns the instances to tracks.
      labels: the label space of the instances' codes.
      window: number of answered frames that a label is read from; 1 keeps the network's
        labels.
      joint_scores: whether the instances' p(action) is a sum over actors of p(actor)
        p(action), as with cartesian and hierarchical labels.
      bout_model: hidden Markov model that reads the actions; None to read them from the
        window.

    Yields:
      the frames in the same order, each when the later frames that its labels depend on
      have come.
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
