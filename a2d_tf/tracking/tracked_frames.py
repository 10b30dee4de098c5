"""Steady labels: what a track is and does is read from the frames around each frame."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking.bout_model import BoutModel
from a2d_tf.tracking.groups import Groups
from a2d_tf.tracking.structures import FoundInstances, LinkedInstances
from a2d_tf.tracking.track_labels import LabelReader
from a2d_tf.tracking.tracker import PATIENCE, SURE, WINDOW, Tracker


class TrackedFrame(NamedTuple):
    """An answered frame with the tracks and the steady labels of its N instances.

    Attributes:
      frame, instances: as they were given to `track_instances`.
      ids: int64 [N], of the tracks; 0 is no track.
      codes: int64 [N], the labels of the tracks; without a track the network's own.
      scores: float64 [N], of `codes`.
      pair_scores: float64 [N, |X|, |Y|], as of `TrackLabel`; 0 without a track.
      resting, ended, extra: as of `LinkedInstances`.
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
    joint: bool = False,
    bout_model: BoutModel | None = None,
) -> Iterator[TrackedFrame]:
    """Add tracks and steady labels to the instances of every answered frame.

    The label of an instance is read from the track's detections in the `window` frames
    around it, so that it does not lag; a frame is yielded once the window // 2 frames
    after it are there, or as many as the bout model looks ahead.

    Args:
      answers: (frame, its instances) in order; a frame may be anything.
      groups, window, patience, sure: as for `Tracker`; a window of 1 keeps the
        network's own labels.
      joint: as for `LabelReader`.
      bout_model: how long actions last, in answered frames; actions are then read from
        all frames up to `bout_model.ahead` later, unless the window is 1.

    Returns:
      the frames in the same order.
    """
    ahead = bout_model.ahead if bout_model else 0
    tracker = Tracker(
        labels, groups, window=window, ahead=ahead, patience=patience, sure=sure
    )
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
    reader = LabelReader(labels, window, joint, bout_model)
    pending_frames: collections.deque[_PendingFrame] = collections.deque()
    for index, (frame, instances) in enumerate(answers):
        linked = link(instances)
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
