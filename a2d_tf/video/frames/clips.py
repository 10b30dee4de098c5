"""The clip of each frame: its features and those of the frames around it.

Each frame passes the backbones once; its features are kept until no later clip needs
them. They equal the features in the clip that the records would hold.
"""

from __future__ import annotations

import collections
from collections.abc import Generator, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from a2d_tf.video.frames.feature_network import FeatureNetwork, FrameFeatures
from a2d_tf.video.frames.prepared_frames import PreparedFrame, reach
from a2d_tf.video.reading.span import Span


class Clip(NamedTuple):
    """A key frame, and the features of the frames around it, by which it is answered.

    Attributes:
      key: 0-based index of the key frame in the video.
      image: the key frame, RGB uint8 [H, W, 3].
      features: the features of the 2L + 1 frames of the clip, in order; L is the number
        of its frames before the key frame. Empty for a labeller that needs no features.
      motion: motion maps of the key frame, the motion in each part of it: {name:
        float32 [h, w, C]}; None if the network reads none.
    """

    key: int
    image: np.ndarray
    features: list[FrameFeatures]
    motion: Mapping[str, np.ndarray] | None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the key frame."""
        return self.image.shape[0], self.image.shape[1]


def make_clips(
    network: FeatureNetwork, frames: Iterable[PreparedFrame], span: Span
) -> Generator[Clip, None, None]:
    """Compute the features of each frame, and yield the clip of each frame of a span.

    At an end of the video, a missing frame of a clip is the nearest frame with zero
    flow, as in the records.

    Args:
      network: the network that computes the features.
      frames: every frame of the video from the first; its `rgb` and `flow` are None if
        no clip of the span needs its features.
      span: the frames to answer, each of which is the key frame of a clip.

    Yields:
      the clips in order; a clip comes as soon as its last frame has come.
    """
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

    A clip is complete with its last frame, which is `reach` frames after its key frame.

    A missing neighbour is the nearest frame with zero flow, as in the records. The
    first frame has no flow, so that it pads the start unchanged; its zero-flow features
    also pad the end.
    """

    def __init__(self, network: FeatureNetwork, span: Span) -> None:
        self._network = network
        self._span = span
        self._stride = network.info["clip_stride"]
        self._reach = reach(network.info)
        self._index = -1  # of the newest frame
        self._newest: PreparedFrame
        # {index: features} of the newest 2 `reach` + 1 frames.
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
    """Return the features of a frame that are computed from its flow."""
    flow_features = {}
    for name, values in features.items():
        if name.startswith("flow_"):
            flow_features[name] = values
    return flow_features
