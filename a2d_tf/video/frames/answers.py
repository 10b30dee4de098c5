"""From the frames of a video to the answers of a network.

  needed frames -> prepared frames -> motion maps -> clips with features -> answers

Each step runs in a thread of its own, a few frames ahead of the next one. Memory does
not grow with the video.
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
    """A frame of a video, RGB uint8 [H, W, 3], and its instances."""

    image: np.ndarray
    instances: Instances


def needed_frames(
    reader: Reader, span: Span, model_info: ModelInfo, stops: Sequence[int] = ()
) -> Iterator[np.ndarray | None]:
    """Yield the frames of a video, and None in place of those that no answer needs.

    Args:
      reader: of the video.
      span: the frames to answer.
      model_info: the description of the network.
      stops: signals that came, see `stop_on_signal`; after one, no frame before the
        span is read.
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

    Each frame passes the backbones at most once.

    Args:
      network: computes the features; none if its clips have 0 frames.
      frames: all frames of a video, RGB uint8 [H, W, 3]; a frame that the span does not
        need may be None, see `needed_frames`.
      span: the frames to answer.
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
    """Yield the answer to each frame of a span, in order.

    Args:
      network: computes the features that clips hold.
      answer: takes the clip around a frame, and returns the instances in that frame.
      frames: every frame of the video from the first, RGB uint8 [H, W, 3]; None in
        place of one that no answer of the span needs.
      span: the frames to answer.
    """
    with contextlib.closing(clips_of_span(network, frames, span)) as clips:
        for clip in clips:
            yield Answer(clip.image, answer(clip))
