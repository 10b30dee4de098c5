"""Predict the frames of a video one after the other.

Memory does not grow with the video. A frame passes four threads: one decodes it and
computes its flow, one its features, one finds its instances, one their tracks. A
network with motion maps has a fifth one, which makes these.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from a2d_tf.annotations.tracks.video_tracks import VideoTracks
from a2d_tf.core.machine import devices
from a2d_tf.core.machine.workers import in_threads
from a2d_tf.ops.motion_maps import BLOCK
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.tracking.bout_lengths import ANY_LENGTHS, BoutLengths
from a2d_tf.tracking.bout_model import BoutModel
from a2d_tf.tracking.given_tracker import GivenTracker
from a2d_tf.tracking.tracked_frames import TrackedFrame, read_labels, track_instances
from a2d_tf.tracking.tracker import SURE
from a2d_tf.video.frames import stream_clips, stream_motion
from a2d_tf.video.frames.instances import (
    Answer,
    Finder,
    FrameNetwork,
    Instances,
    Labeller,
)
from a2d_tf.video.frames.stream_clips import Clip
from a2d_tf.video.frames.tidy_frames import tidy_frames
from a2d_tf.video.frames.track_settings import TRACK_DEFAULTS, TrackSettings
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import EVERY_FRAME, Span

_Item = TypeVar("_Item")


def find_instances(
    predictor: Finder, frames: Iterable[np.ndarray | None], span: Span = EVERY_FRAME
) -> Generator[Answer, None, None]:
    """Find the instances in a span; `frames` as of `clips_of_span`."""

    def find(clip: Clip) -> Instances:
        return predictor.instances(clip.features, clip.size, clip.motion)

    return answer_clips(predictor, find, frames, span)


def answer_clips(
    network: FrameNetwork,
    answer: Callable[[Clip], Any],
    frames: Iterable[np.ndarray | None],
    span: Span = EVERY_FRAME,
) -> Generator[Answer, None, None]:
    """Answer the frames of a span, one after the other, by the clips around them.

    Args:
      answer: returns the instances of a clip's key frame.
      frames: as of `clips_of_span`.
    """
    with contextlib.closing(clips_of_span(network, frames, span)) as clips:
        for clip in clips:
            yield Answer(clip.image, answer(clip))


def clips_of_span(
    network: FrameNetwork,
    frames: Iterable[np.ndarray | None],
    span: Span = EVERY_FRAME,
) -> Generator[Clip, None, None]:
    """Yield the clip around each frame of a span, with its features.

    Each frame passes the backbones at most once.

    Args:
      frames: all native frames, RGB uint8 [H, W, 3]; a frame may be None if the span
        does not need it, see `Span.needs` and `stream_motion.needs`.
    """
    with contextlib.ExitStack() as stack:

        def in_thread(
            items: Generator[_Item, None, None], ahead: int, **options: Any
        ) -> Generator[_Item, None, None]:
            made = _in_thread(items, ahead, **options)
            return stack.enter_context(contextlib.closing(made))

        # One ahead: frames of a camera stay fresh.
        prepared_frames = in_thread(
            stream_clips.prepare(frames, network.info, span),
            ahead=1,
            start=devices.lower_priority,
        )
        if "motion" in network.info:
            # A block ahead, so that the next one is computed meanwhile.
            prepared_frames = in_thread(
                stream_motion.add_maps(
                    network.motion_stream(), prepared_frames, network.info, span
                ),
                ahead=BLOCK,
            )
        # A small network leaves cores idle, where the features of the next frame are
        # computed.
        yield from in_thread(
            stream_clips.make_clips(network, prepared_frames, span), ahead=1
        )


def predict_frames(
    predictor: Finder,
    reader: Reader,
    span: Span = EVERY_FRAME,
    track_settings: TrackSettings = TRACK_DEFAULTS,
    *,
    stops: Sequence[Any] = (),
) -> Iterator[VideoFrame]:
    """Find the instances in the frames of a video and link them over time.

    The threads work a few frames ahead of the caller.

    Args:
      reader, span: the video, and the frames to answer.
      stops: the video ends as soon as this is not empty.

    Raises:
      InputError: a frame that cannot be read, or as of `TrackSettings.groups`.
    """
    frames = needed_frames(reader, span, predictor.info, stops)
    answers = find_instances(predictor, frames, span)
    yield from track_answers(
        predictor, answers, reader, span, track_settings, stops=stops
    )


def track_answers(
    network: FrameNetwork,
    answers: Generator[Answer, None, None],
    reader: Reader,
    span: Span,
    track_settings: TrackSettings,
    *,
    sure: float = SURE,
    stops: Sequence[Any] = (),
) -> Iterator[VideoFrame]:
    """Link the instances of a video's answered frames over time.

    Args:
      network: what says what the instances are and do.
      answers: of the frames of the span, which a thread makes.
      sure: as of `Tracker`.
      reader, span, track_settings, stops: as of `predict_frames`.
    """
    answers = _in_thread(answers, ahead=2)
    tracked_frames = track_instances(
        _until_stopped(answers, stops),
        network.labels,
        track_settings.groups(network.labels),
        window=track_settings.window,
        patience=track_settings.patience,
        sure=sure,
        joint=network.info["joint"],
        bout_model=_bout_model(network, reader, span),
    )
    frames = _with_times(tracked_frames, reader, span)
    lengths = track_settings.bout_lengths
    yield from _in_thread(tidy_frames(frames, lengths, network.labels), ahead=2)


def label_frames(
    labeller: Labeller,
    reader: Reader,
    given: VideoTracks,
    span: Span = EVERY_FRAME,
    window: int = TrackSettings.window,
    *,
    bout_lengths: BoutLengths = ANY_LENGTHS,
    stops: Sequence[Any] = (),
) -> Iterator[VideoFrame]:
    """Label the given instances of a video, as `predict_frames` does those it finds.

    Args:
      given: the tracks of the video.
      window, bout_lengths: as of `TrackSettings`.
      reader, span, stops: as of `predict_frames`.

    Raises:
      InputError: a frame that cannot be read, a shape outside the frame, or a track
        that goes on after the end of the video.
    """
    if reader.count is not None:
        # What a file claims may be some frames off; in the end they are counted.
        given.check_length(reader.count + math.ceil(reader.fps))
    frames = needed_frames(reader, span, labeller.info, stops)
    answers = _in_thread(labeller.answers(frames, span, given), ahead=2)
    bout_model = _bout_model(labeller, reader, span)
    tracker = GivenTracker(
        given.last_frames,
        first=span.first + 1,
        every=span.every,
        window=window + (bout_model.ahead if bout_model else 0),
    )
    tracked_frames = read_labels(
        _until_stopped(answers, stops),
        tracker.add,
        labeller.labels,
        window=window,
        joint=labeller.info["joint"],
        bout_model=bout_model,
    )
    video_frames = _with_times(tracked_frames, reader, span)
    yield from _in_thread(
        tidy_frames(video_frames, bout_lengths, labeller.labels), ahead=2
    )
    if reader.length is not None:
        given.check_length(reader.length)


def needed_frames(
    reader: Reader, span: Span, model_info: ModelInfo, stops: Sequence[Any] = ()
) -> Iterator[np.ndarray | None]:
    """Yield the frames, and None for those that the span does not need.

    Args:
      model_info: what is known of the network.
      stops: as of `predict_frames`.
    """
    reach = stream_clips.reach(model_info)

    def is_needed(index: int) -> bool:
        if span.needs(index, reach):
            return True
        return stream_motion.needs(model_info, span, index)

    first = span.first - reach
    first_decoded = min(first - 1, stream_motion.first_needed(model_info, span))
    for index, frame in enumerate(reader.frames(is_needed, max(0, first_decoded))):
        if stops and index < first:
            return
        yield frame


def _bout_model(
    network: FrameNetwork | Labeller, reader: Reader, span: Span
) -> BoutModel | None:
    """Return how long actions last by a network's coded bouts; None without any."""
    bout_seconds = network.info.get("bout_seconds", {})
    rate = reader.fps / span.every
    return BoutModel.of_seconds(bout_seconds, network.labels, rate)


def _until_stopped(answers: Iterable[Answer], stops: Sequence[Any]) -> Iterator[Answer]:
    """Yield the answers up to the one that is there when `stops` fills."""
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


def _in_thread(
    items: Generator[_Item, None, None],
    ahead: int,
    start: Callable[[], None] | None = None,
) -> Generator[_Item, None, None]:
    """Yield the items of a generator, which a thread computes.

    Args:
      items: none of them is None.
      ahead: how many are computed ahead of the caller.
      start: called first in the thread.
    """

    def compute(_: int) -> _Item | None:
        return next(items, None)

    computed = in_threads(
        compute, itertools.count(), ahead=ahead, threads=1, start=start
    )
    with contextlib.closing(items), contextlib.closing(computed):
        for item in computed:
            if item is None:
                return
            yield item
