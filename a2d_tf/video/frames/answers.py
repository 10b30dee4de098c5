"""From the frames of a video to the instances that a network finds in each.

  needed frames -> prepared frames -> motion maps -> clips with features -> answers

Each step runs in a thread of its own, a few frames ahead of the next one. Memory does
not grow with the video. To answer a frame is to predict its instances.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.machine import devices
from a2d_tf.core.machine.workers import run_ahead
from a2d_tf.ops.motion_maps import BLOCK
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames import frame_motion, prepared_frames
from a2d_tf.video.frames.clips import Clip, make_clips
from a2d_tf.video.frames.feature_network import FeatureNetwork
from a2d_tf.video.frames.instances import Instances
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import EVERY_FRAME, Span


class Answer(NamedTuple):
    """A frame of a video, and the instances that were predicted in it.

    Attributes:
      image: the frame, RGB uint8 [H, W, 3].
      instances: the instances in the frame.
    """

    image: np.ndarray
    instances: Instances


def needed_frames(
    reader: Reader, span: Span, model_info: ModelInfo, stops: Sequence[int] = ()
) -> Iterator[np.ndarray | None]:
    """Read a video, and decode only the frames on which the answers depend.

    Args:
      reader: the reader of the video, which has just been opened.
      span: the answered frames, in which instances are predicted.
      model_info: the description of the network, as in `a2d_tf.json`: how many frames a
        clip has, and which motion maps are read.
      stops: list of the numbers of the signals (Ctrl-C, SIGTERM) that have come, see
        `stop_on_signal`. If it gets one before the first frame of the first clip, the
        reading ends.

    Yields:
      every frame of the video from the first, RGB uint8 [H, W, 3]; None in place of a
      frame on which no answer depends.
    """
    reach = prepared_frames.reach(model_info)

    def is_needed(index: int) -> bool:
        if span.needs(index, reach):
            return True
        return frame_motion.needs(model_info, span, index)

    first = span.first - reach
    first_decoded = min(first - 1, frame_motion.first_needed(model_info, span))
    for index, frame in enumerate(reader.frames(is_needed, max(0, first_decoded))):
        if stops and index < first:
            return
        yield frame


def clips_of_span(
    network: FeatureNetwork,
    frames: Iterable[np.ndarray | None],
    span: Span = EVERY_FRAME,
) -> Generator[Clip, None, None]:
    """Yield the clip around each frame of a span, with its features.

    Each frame passes the backbones at most once, however many clips contain it.

    Args:
      network: the network that computes the features. If its clips have 0 frames, it
        needs no features, and a clip has only its key frame.
      frames: every frame of a video from the first, RGB uint8 [H, W, 3]; None in place
        of a frame on which no answer depends, see `needed_frames`.
      span: the answered frames, in which instances are predicted.

    Yields:
      the clips in the order of their key frames.
    """
    if network.info["frames"] == 0:
        yield from _clips_without_features(frames, span)
        return
    with contextlib.ExitStack() as stack:
        # One ahead: frames of a camera stay fresh.
        prepared = run_ahead(
            prepared_frames.prepare(frames, network.info, span),
            ahead=1,
            start=devices.lower_priority,
        )
        stack.enter_context(contextlib.closing(prepared))
        if "motion" in network.info:
            # A block ahead, so that the next block is computed meanwhile.
            prepared = run_ahead(
                frame_motion.add_maps(
                    network.motion_stream(), prepared, network.info, span
                ),
                ahead=BLOCK,
            )
            stack.enter_context(contextlib.closing(prepared))
        # Cores that a small network leaves idle compute the features of the next frame.
        clips = run_ahead(make_clips(network, prepared, span), ahead=1)
        stack.enter_context(contextlib.closing(clips))
        yield from clips


def _clips_without_features(
    frames: Iterable[np.ndarray | None], span: Span
) -> Iterator[Clip]:
    """Yield a clip that has only its key frame, for each frame of a span."""
    for index, frame in enumerate(frames):
        if index in span:
            assert frame is not None
            yield Clip(index, frame, features=[], motion=None)


def answer_clips(
    network: FeatureNetwork,
    answer: Callable[[Clip], Instances],
    frames: Iterable[np.ndarray | None],
    span: Span = EVERY_FRAME,
) -> Generator[Answer, None, None]:
    """Predict the instances in each frame of a span.

    Args:
      network: the network that computes the features of the clips.
      answer: function that takes the clip around a frame, and returns the instances in
        that frame.
      frames: every frame of the video from the first, RGB uint8 [H, W, 3]; None in
        place of a frame on which no answer of the span depends.
      span: the answered frames, in which instances are predicted.

    Yields:
      each frame of the span with its instances, in order.
    """
    with contextlib.closing(clips_of_span(network, frames, span)) as clips:
        for clip in clips:
            yield Answer(clip.image, answer(clip))
