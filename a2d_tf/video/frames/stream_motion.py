"""The motion maps of a video's frames, which go before their clips.

The maps of a frame are made of frames after it, too, and it waits for these: at most
REACH + BLOCK - 1 frames. What waits are pixels. Features, which take more memory, are
computed when the maps are there.
"""

from __future__ import annotations

import collections
from collections.abc import Generator, Iterable

from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.ops import motion_maps
from a2d_tf.ops.motion_maps import BLOCK, FLOW_HISTOGRAMS
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.stream_clips import PreparedFrame
from a2d_tf.video.reading.span import Span


def needs(model_info: ModelInfo, span: Span, index: int) -> bool:
    """Return whether a motion map of the span's frames is made of a frame.

    Args:
      model_info: what is known of the network.
      index: 0-based, of the frame.
    """
    facts = model_info.get("motion")
    if facts is None:
        return False
    if not facts["action_backbone"]:
        return _needs_flow(span, index)
    # A block also holds the pairs of frames around its key frames.
    keys = motion_maps.keys_of_block(index // BLOCK)
    return span.any(keys.start, keys.stop - 1)


def first_needed(model_info: ModelInfo, span: Span) -> int:
    """Return a frame before which `needs` is never true."""
    if "motion" not in model_info:
        return span.first
    return motion_maps.blocks_around(span.first).start * BLOCK


def add_maps(
    stream: MotionStream,
    frames: Iterable[PreparedFrame],
    model_info: ModelInfo,
    span: Span,
) -> Generator[PreparedFrame, None, None]:
    """Yield the frames of a video, those of the span with their motion maps.

    Args:
      frames: all frames; the native one is not None if the span `needs` it.
    """
    waiting: collections.deque[PreparedFrame] = collections.deque()
    done = 0  # so many frames have left the queue
    for index, frame in enumerate(frames):
        if needs(model_info, span, index):
            stream.add(index, frame.native, with_flow=_needs_flow(span, index))
        if index not in span:
            frame = frame._replace(native=None)
        waiting.append(frame)
        while waiting and (done not in span or stream.ready(done)):
            yield _with_maps(stream, waiting.popleft(), span, done)
            done += 1
    stream.end()
    while waiting:
        yield _with_maps(stream, waiting.popleft(), span, done)
        done += 1


def _needs_flow(span: Span, index: int) -> bool:
    """Return whether flow histograms of the span's frames are made of a frame."""
    pair = index // FLOW_HISTOGRAMS.frames
    keys = motion_maps.keys_of_map(FLOW_HISTOGRAMS, pair)
    return span.any(keys.start, keys.stop - 1)


def _with_maps(
    stream: MotionStream, frame: PreparedFrame, span: Span, index: int
) -> PreparedFrame:
    """Return a frame with its motion maps, if it is in the span."""
    if index not in span:
        return frame
    stream.forget(index)
    return frame._replace(motion=stream.maps(index))
