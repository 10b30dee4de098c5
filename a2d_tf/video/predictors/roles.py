"""The interfaces of predictors; the docstring of this folder shows them together."""

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
    """A network that finds and labels the instances in frames."""

    def instances(
        self,
        clip: Sequence[FrameFeatures],
        size: tuple[int, int],
        motion: Mapping[str, np.ndarray] | None,
    ) -> Instances:
        """Find the instances in the key frame of a clip.

        Args:
          clip: the features of the 2L + 1 frames around the key frame, in order.
          size: (height, width) of the key frame, pixels of the video.
          motion: motion maps of the key frame, the motion in each part of it: {name:
            float32 [h, w, C]}; None if the network reads none.

        Returns:
          the instances in pixels of the video.
        """


class BoxLabeller(FeatureNetwork, Protocol):
    """A labeller of given boxes: it names the actor and the action of each."""

    def label(self, instances: GivenInstances, clip: Clip) -> LabelledBoxes:
        """Label the given instances in the key frame of a clip.

        Args:
          instances: the N instances with their boxes in pixels of the video, and maybe
            masks, actors and scores.
          clip: the clip around the frame, with the features that `features` returned.

        Returns:
          the N instances in the same order, with labels and scores.
        """


@runtime_checkable
class VideoPredictor(Protocol):
    """A predictor of videos: it finds, tracks and labels the individuals in one."""

    @property
    def info(self) -> ModelInfo:
        """The description of the model, as in `a2d_tf.json` of an export."""

    @property
    def labels(self) -> LabelSpace:
        """The label space of the model: its actors, its actions and their codes."""

    def description(self) -> str:
        """Say which model predicts, and which instances it reports, for the user.

        For example "ckpt-20000, p(actor) >= 0.7".
        """

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
          reader: the reader of the video, which has just been opened.
          span: the answered frames, in which instances are predicted.
          track_settings: how individuals are tracked.
          stops: list of the numbers of the signals (Ctrl-C, SIGTERM) that have come,
            see `stop_on_signal`; when it gets one, no further frame is answered.

        Yields:
          the answered frames in order.

        Raises:
          InputError: a frame cannot be read, or the settings do not fit the labels.
        """

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """Return the fields of a video's `video.json` that only this predictor knows.

        Args:
          reader: the reader of the video.

        Returns:
          {name of a field of `prediction_folder.VideoInfo`: its value}, such as
          "boxes_only".
        """

    def track_names(self, reader: Reader) -> dict[int, str]:
        """Return the names of individuals that a user gave in the tracks of a video.

        Args:
          reader: the reader of the video.

        Returns:
          {number of a track: the name of its individual}; {} if no names are known.
        """
