"""The interfaces of predictors; the docstring of this folder has a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.feature_network import FeatureNetwork, FrameFeatures
from a2d_tf.video.frames.instances import Instances, LabelledBoxes
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span


class InstanceFinder(FeatureNetwork, Protocol):
    """A network that finds the instances in a frame."""

    def instances(
        self,
        clip: Sequence[FrameFeatures],
        size: tuple[int, int],
        motion: Mapping[str, np.ndarray] | None,
    ) -> Instances:
        """Find the instances in the key frame of a clip.

        Args:
          clip: the features of the 2L + 1 frames around the key frame.
          size: (height, width) of the key frame, pixels of the video.
          motion: the motion maps of the key frame; None if the network reads none.
        """


class BoxLabeller(FeatureNetwork, Protocol):
    """What labels the boxes of a user or of a detector."""

    def label(self, instances: GivenInstances, clip: Clip) -> LabelledBoxes:
        """Label N instances in the key frame of a clip.

        Returns:
          the N instances in the same order.
        """


@runtime_checkable
class VideoPredictor(Protocol):
    """What finds, tracks and labels the individuals of a whole video."""

    @property
    def info(self) -> ModelInfo:
        """The description of the model."""

    @property
    def labels(self) -> LabelSpace:
        """The label space of the codes."""

    def description(self) -> str:
        """Return the name of the model, and which instances are reported, in words."""

    def frames(
        self,
        reader: Reader,
        span: Span,
        track_settings: TrackSettings,
        *,
        stops: Sequence[int] = (),
    ) -> Iterator[VideoFrame]:
        """Predict the frames of a video, one after the other.

        Threads work a few frames ahead of the caller.

        Args:
          reader: of the video.
          span: the frames to answer.
          track_settings: how individuals are followed.
          stops: signals that came, see `stop_on_signal`; after one, the video ends.

        Yields:
          the answered frames in order.

        Raises:
          InputError: a frame cannot be read, or the settings do not fit the labels.
        """

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """Return what only this predictor knows for the `video.json` of a video.

        Returns:
          {name of a field of `prediction_folder.VideoInfo`: its value}.
        """

    def track_names(self, reader: Reader) -> dict[int, str]:
        """Return {number of a track: the name of its individual}, if it has a name."""
