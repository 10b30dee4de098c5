"""Add the motion maps to the frames of a video.

The maps of a frame are computed from earlier and from later frames, so the frame waits
for at most REACH + BLOCK - 1 later ones. This step comes before the features, because
waiting pixels take less memory than waiting features.
"""

from __future__ import annotations

import collections
from collections.abc import Generator, Iterable

from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.ops import motion_maps
from a2d_tf.ops.motion_maps import BLOCK, FLOW_HISTOGRAMS
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.prepared_frames import PreparedFrame
from a2d_tf.video.reading.span import Span


def needs(model_info: ModelInfo, span: Span, index: int) -> bool:
    """Return whether the motion maps of any answered frame are computed from a frame.

    Args:
      model_info: the description of the network, whose "motion" says which maps it
        reads. Without it, the result is False.
      span: the answered frames.
      index: 0-based index of the frame.
    """
    facts = model_info.get("motion")
    if facts is None:
        return False
    if not facts["action_backbone"]:
        return _needs_flow(span, index)
    # A block also holds the pairs of frames around its key frames.
    keys = motion_maps.keys_of_block(index // BLOCK)
    return span.has_any(keys.start, keys.stop - 1)


def first_needed(model_info: ModelInfo, span: Span) -> int:
    """Return the 0-based index of the first frame that motion maps may need.

    `needs` is False for each frame before it. Without motion maps, it is the first
    frame of the span.

    Args:
      model_info: the description of the network, whose "motion" says which maps it
        reads.
      span: the answered frames.
    """
    if "motion" not in model_info:
        return span.first
    return motion_maps.blocks_around(span.first).start * BLOCK


def add_maps(
    stream: MotionStream,
    frames: Iterable[PreparedFrame],
    model_info: ModelInfo,
    span: Span,
) -> Generator[PreparedFrame, None, None]:
    """Yield the frames of a video in order, with the motion maps of the span's frames.

    A frame is held until the later frames that its maps need have come. Frames outside
    the span lose their `native` image.

    Args:
      stream: computes the maps of this video.
      frames: every frame of the video from the first; `native` is not None in the
        frames from which maps are computed.
      model_info: the description of the network, whose "motion" says which maps it
        reads.
      span: the answered frames, in which instances are predicted.
    """
    waiting: collections.deque[PreparedFrame] = collections.deque()
    done = 0  # number of frames that have left the queue
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
    """Return whether flow histograms of the span are computed from a frame."""
    pair = index // FLOW_HISTOGRAMS.frames
    keys = motion_maps.keys_of_map(FLOW_HISTOGRAMS, pair)
    return span.has_any(keys.start, keys.stop - 1)


def _with_maps(
    stream: MotionStream, frame: PreparedFrame, span: Span, index: int
) -> PreparedFrame:
    """Return a frame with its motion maps, if it is in the span."""
    if index not in span:
        return frame
    stream.forget(index)
    return frame._replace(motion=stream.maps(index))
