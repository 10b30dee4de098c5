"""From the answers to the frames of a video to frames with tracks.

  answers -> tracker -> labels of the tracks -> times of the frames -> tidy bouts

Threads make the answers and the frames, a few frames ahead of the caller. Memory does
not grow with the video.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

from a2d_tf.core.machine.workers import run_ahead
from a2d_tf.tracking.bout_model import BoutModel
from a2d_tf.tracking.given_tracker import GivenTracker
from a2d_tf.tracking.structures import InstanceTracker
from a2d_tf.tracking.tracked_frames import TrackedFrame, read_labels
from a2d_tf.tracking.tracker import SURE, Tracker
from a2d_tf.video.frames.answers import Answer
from a2d_tf.video.frames.feature_network import FeatureNetwork
from a2d_tf.video.frames.tidy_frames import tidy_frames
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span


def track_answers(
    network: FeatureNetwork,
    answers: Generator[Answer, None, None],
    reader: Reader,
    span: Span,
    track_settings: TrackSettings,
    *,
    sure: float = SURE,
    stops: Sequence[int] = (),
) -> Iterator[VideoFrame]:
    """Link the instances of the answers into tracks, and yield the frames with tracks.

    Args:
      network: the network that gave the answers; its labels and the lengths of its
        coded bouts are used.
      answers: the answers to the frames of the span, in order.
      reader: the reader of the video, which gives the frames' times.
      span: the answered frames.
      track_settings: how individuals are tracked.
      sure: least p(any actor), from 0 to 1, with which an instance begins a track.
      stops: list of the numbers of the signals (Ctrl-C, SIGTERM) that have come, see
        `stop_on_signal`. When it gets one, no further frame is answered.

    Yields:
      the answered frames in order, with the track of each instance and its label.

    Raises:
      InputError: `max_tracks` of the settings does not fit the labels of the network.
    """
    bout_model = _bout_model(network, reader, span)
    tracker = Tracker(
        network.labels,
        track_settings.groups(network.labels),
        window=track_settings.window,
        ahead=_frames_ahead(bout_model),
        patience=track_settings.patience,
        sure=sure,
    )
    yield from _frames_with_tracks(
        tracker,
        network,
        bout_model,
        answers,
        reader=reader,
        span=span,
        track_settings=track_settings,
        stops=stops,
    )


def keep_tracks(
    network: FeatureNetwork,
    answers: Generator[Answer, None, None],
    last_frames: Mapping[int, int],
    reader: Reader,
    span: Span,
    track_settings: TrackSettings,
    *,
    stops: Sequence[int] = (),
) -> Iterator[VideoFrame]:
    """Yield the answered frames with the tracks that a user gave in a file.

    The instances keep the track numbers of the user; only their labels are read from
    several frames, as in `track_answers`.

    Args:
      network: the labeller that gave the answers; its labels and the lengths of its
        coded bouts are used.
      answers: the answers to the frames of the span, in order; their instances are
        `LabelledBoxes`.
      last_frames: {number of a track: number of the last frame with it, from 1}, for
        all tracks of the video.
      reader: the reader of the video, which gives the frames' times.
      span: the answered frames.
      track_settings: how labels are read; only the window and the lengths of bouts have
        an effect.
      stops: list of the numbers of the signals (Ctrl-C, SIGTERM) that have come, see
        `stop_on_signal`. When it gets one, no further frame is answered.

    Yields:
      the answered frames in order, with the track of each instance and its label.
    """
    bout_model = _bout_model(network, reader, span)
    tracker = GivenTracker(
        last_frames,
        first=span.first + 1,
        every=span.every,
        window=track_settings.window + _frames_ahead(bout_model),
    )
    yield from _frames_with_tracks(
        tracker,
        network,
        bout_model,
        answers,
        reader=reader,
        span=span,
        track_settings=track_settings,
        stops=stops,
    )


def _bout_model(
    network: FeatureNetwork, reader: Reader, span: Span
) -> BoutModel | None:
    """Return the model of bouts, by the lengths of the coded bouts that were learned.

    It is None if the network did not learn from coded times.
    """
    bout_seconds = network.info.get("bout_seconds", {})
    frames_per_second = reader.fps / span.every
    return BoutModel.of_seconds(bout_seconds, network.labels, frames_per_second)


def _frames_ahead(bout_model: BoutModel | None) -> int:
    """Return how many later frames a bout model reads a label from."""
    return 0 if bout_model is None else bout_model.ahead


def _frames_with_tracks(
    tracker: InstanceTracker,
    network: FeatureNetwork,
    bout_model: BoutModel | None,
    answers: Generator[Answer, None, None],
    *,
    reader: Reader,
    span: Span,
    track_settings: TrackSettings,
    stops: Sequence[int],
) -> Iterator[VideoFrame]:
    """Yield the frames of the answers with their tracks and the labels of these."""
    tracked_frames = read_labels(
        _until_stopped(run_ahead(answers, ahead=2), stops),
        tracker,
        network.labels,
        window=track_settings.window,
        joint_scores=network.info["joint"],
        bout_model=bout_model,
    )
    frames = tidy_frames(
        _with_times(tracked_frames, reader, span),
        track_settings.bout_lengths,
        network.labels,
    )
    yield from run_ahead(frames, ahead=2)


def _until_stopped(answers: Iterable[Answer], stops: Sequence[int]) -> Iterator[Answer]:
    """Yield the answers, until a signal comes; the answer in hand is the last one."""
    for answer in answers:
        yield answer
        if stops:
            return


def _with_times(
    tracked_frames: Iterator[TrackedFrame], reader: Reader, span: Span
) -> Iterator[VideoFrame]:
    """Yield a `VideoFrame` for each tracked frame.

    A frame is held until it is known whether another one follows.
    """
    index = span.first
    tracked = next(tracked_frames, None)
    while tracked is not None:
        next_tracked = next(tracked_frames, None)
        end = index + span.every
        yield VideoFrame(
            number=index + 1,
            seconds=reader.seconds(index),
            image=tracked.frame,
            instances=tracked.instances,
            tracks=tracked.ids,
            codes=tracked.codes,
            scores=tracked.scores,
            until=reader.seconds(min(end, span.end or end)),
            resting=tracked.resting,
            ended=tracked.ended,
            extra=tracked.extra,
            pair_scores=tracked.pair_scores,
        )
        index = end
        tracked = next_tracked
