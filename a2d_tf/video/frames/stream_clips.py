"""The clips of a video's frames, as records hold them, frame by frame.

Each frame passes the backbones once; its features are kept until no later clip needs
them. They equal the features in the clip that the records would hold.
"""

from __future__ import annotations

import collections
from collections.abc import Generator, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.data.preparation.stored_frames import FramePreparer
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.instances import FrameFeatures, FrameNetwork
from a2d_tf.video.reading.span import Span


class PreparedFrame(NamedTuple):
    """A frame as networks see it.

    Attributes:
      native: the decoded frame, RGB uint8 [H, W, 3].
      rgb: the same at the stored size, uint8 [h, w, 3]; None if no answer needs it.
      flow: float32 [h, w, 2]; None if no answer needs the features of the frame.
      motion: its motion maps, {name: float32 [h, w, C]}; None without such maps.
    """

    native: Any
    rgb: np.ndarray | None
    flow: np.ndarray | None
    motion: Mapping[str, np.ndarray] | None = None


class Clip(NamedTuple):
    """A key frame with the features of the frames around it.

    Attributes:
      key: 0-based index of the key frame.
      image: RGB uint8 [H, W, 3].
      features: of the 2L + 1 frames.
      motion: see `PreparedFrame`.
    """

    key: int
    image: np.ndarray
    features: list[FrameFeatures]
    motion: Mapping[str, np.ndarray] | None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the key frame."""
        return self.image.shape[0], self.image.shape[1]


def reach(model_info: ModelInfo) -> int:
    """Return how many frames before, and after, a key frame its answer depends on."""
    return model_info["frames"] // 2 * model_info["clip_stride"]


def prepare(
    frames: Iterable[Any], model_info: ModelInfo, span: Span
) -> Generator[PreparedFrame, None, None]:
    """Prepare the frames of a video as records hold them.

    Args:
      frames: all native frames; a frame may be None if the span does not need it.
      model_info: what is known of the network.
      span: the frames to answer.
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
        stands_in = index == 0 and span.any(0, far)
        flow = None
        if is_in_a_clip or stands_in:
            flow = preparer.flow(previous, stored)
        yield PreparedFrame(native, stored.rgb, flow)
        previous = stored


def make_clips(
    network: FrameNetwork, frames: Iterable[PreparedFrame], span: Span
) -> Generator[Clip, None, None]:
    """Compute the features of frames; yield the clip of each frame of the span."""
    maker = _ClipMaker(network, span)
    for frame in frames:
        maker.add(frame)
        if maker.has_clip():
            yield maker.clip()
        if maker.is_finished():
            return
    yield from maker.last_clips()


class _ClipMaker:
    """Makes the clips of frames that come one by one.

    A clip is complete when its last frame is there, `reach` frames after its key frame.

    A missing neighbour is the nearest frame with zero flow, as in the records. The
    first frame has no flow, so that it pads the start unchanged; its zero-flow features
    also pad the end.
    """

    def __init__(self, network: FrameNetwork, span: Span) -> None:
        self._network = network
        self._span = span
        self._stride = network.info["clip_stride"]
        self._reach = reach(network.info)
        self._index = -1  # of the newest frame
        self._newest: PreparedFrame
        # Of the newest 2 `reach` + 1 frames, by index.
        self._features: dict[int, FrameFeatures] = {}
        # The key frames that wait for their clip.
        self._waiting: collections.deque[PreparedFrame] = collections.deque()
        self._zero_flow: FrameFeatures | None = None

    def add(self, frame: PreparedFrame) -> None:
        """Take the next frame."""
        self._index += 1
        self._newest = frame
        if frame.rgb is not None and frame.flow is not None:
            features = self._network.features(frame.rgb, frame.flow)
            self._features[self._index] = features
            if self._index == 0:
                self._zero_flow = _of_flow(features)
        self._features.pop(self._index - 2 * self._reach - 1, None)
        if self._index in self._span:
            self._waiting.append(frame)

    def has_clip(self) -> bool:
        """Return whether the newest frame has completed a clip."""
        return self._index - self._reach in self._span

    def clip(self) -> Clip:
        """Return the clip that the newest frame has completed."""
        return self._clip(self._index - self._reach)

    def is_finished(self) -> bool:
        """Return whether the span has no further clip."""
        if self._span.end is None:
            return False
        return self._index - self._reach >= self._span.end - 1

    def last_clips(self) -> Generator[Clip, None, None]:
        """Yield the clips that reach beyond the end of the video."""
        end = self._index + 1
        keys = range(max(0, end - self._reach), end)
        keys_of_span = [key for key in keys if key in self._span]
        if not keys_of_span:
            return
        padding = self._end_padding()
        for index in range(end, end + self._reach):
            self._features[index] = padding
        for key in keys_of_span:
            yield self._clip(key)

    def _clip(self, key: int) -> Clip:
        offsets = range(-self._reach, self._reach + 1, self._stride)
        features = [self._features[max(0, key + offset)] for offset in offsets]
        key_frame = self._waiting.popleft()
        return Clip(key, key_frame.native, features, key_frame.motion)

    def _end_padding(self) -> FrameFeatures:
        """Return the features of the newest frame with zero flow."""
        features = self._features.get(self._index)
        if features is not None and self._zero_flow is not None:
            return {**features, **self._zero_flow}
        rgb = self._newest.rgb
        assert rgb is not None  # the span needs the frame
        return self._network.features(rgb, np.zeros((*rgb.shape[:2], 2), np.float32))


def _of_flow(features: FrameFeatures) -> FrameFeatures:
    """Return those features of a frame that its flow gives."""
    flow_features = {}
    for name, values in features.items():
        if name.startswith("flow_"):
            flow_features[name] = values
    return flow_features
