"""The frames of a video as a network sees them: at the stored size, with their flow.

The stored size is that of the frames in the records from which the network learned.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.data.preparation.stored_frames import FramePreparer
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.reading.span import Span


class PreparedFrame(NamedTuple):
    """A frame as networks see it.

    Attributes:
      native: the decoded frame, RGB uint8 [H, W, 3]; None if no later step needs it.
      rgb: the frame scaled to the stored size, uint8 [h, w, 3]; None if no answer needs
        it.
      flow: float32 [h, w, 2], displacement of each pixel from the previous frame, in
        pixels of the stored size; None if no answer needs the features of the frame.
      motion: motion maps of the frame, {name: float32 [h, w, C]}; None if the network
        reads none, or the frame is not answered.
    """

    native: Any
    rgb: np.ndarray | None
    flow: np.ndarray | None
    motion: Mapping[str, np.ndarray] | None = None


def reach(model_info: ModelInfo) -> int:
    """Return how many frames before, and after, a key frame its clip covers.

    A clip is the frame whose instances are predicted, the key frame, with the frames
    around it on which they depend.

    Args:
      model_info: the description of the network: the number of frames of a clip, and
        the stride between them.
    """
    return model_info["frames"] // 2 * model_info["clip_stride"]


def prepare(
    frames: Iterable[Any], model_info: ModelInfo, span: Span
) -> Generator[PreparedFrame, None, None]:
    """Scale the frames of a video to the stored size, and compute their optical flow.

    The frames are prepared as conversion does for the records.

    Args:
      frames: every decoded frame of the video from the first, RGB uint8 [H, W, 3]; None
        in place of a frame on which no answer depends.
      model_info: the description of the network: its stored size, its flow method and
        its clips.
      span: the answered frames, in which instances are predicted.

    Yields:
      a prepared frame for each frame, without motion maps.
    """
    flow_method = None
    if model_info["use_flow"]:
        flow_method = model_info["flow_method"]
    preparer = FramePreparer(
        model_info["image_height"], model_info["image_width"], flow_method
    )
    far = reach(model_info)
    offsets = range(-far, far + 1, model_info["clip_stride"])
    previous = None
    for index, native in enumerate(frames):
        if not span.needs(index, far):
            previous = None
            yield PreparedFrame(native, None, None)
            continue
        stored = preparer.prepare(native)
        is_in_a_clip = any(index + offset in span for offset in offsets)
        # The first frame also stands in for those before it.
        stands_in = index == 0 and span.has_any(0, far)
        flow = None
        if is_in_a_clip or stands_in:
            flow = preparer.flow(previous, stored)
        yield PreparedFrame(native, stored.rgb, flow)
        previous = stored
