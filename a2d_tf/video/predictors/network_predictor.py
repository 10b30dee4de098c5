"""Predict a video by a network that finds and labels the instances itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, Union

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.answers import Answer, answer_clips, needed_frames
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.instances import Instances
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.tracked_answers import track_answers
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.predictors.roles import InstanceFinder, VideoPredictor
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import EVERY_FRAME, Span

LoadedModel = Union[VideoPredictor, InstanceFinder]
"""A model as it is loaded: it predicts videos, or finds the instances in frames.

`video_predictor` makes a predictor of videos from either.
"""


def video_predictor(model: LoadedModel) -> VideoPredictor:
    """Return the predictor of whole videos that a loaded model makes possible.

    Args:
      model: a predictor of videos, which is returned as it is, or a network that finds
        instances, which a `NetworkPredictor` wraps.
    """
    if isinstance(model, VideoPredictor):
        return model
    return NetworkPredictor(model)


@dataclasses.dataclass(frozen=True)
class NetworkPredictor:
    """A predictor of videos whose network finds the instances in each frame.

    Attributes:
      network: the network, which finds and labels the instances in a frame.
    """

    network: InstanceFinder

    @property
    def info(self) -> ModelInfo:
        """The description of the network, as in `a2d_tf.json`."""
        return self.network.info

    @property
    def labels(self) -> LabelSpace:
        """The label space of the network: its actors, its actions and their codes."""
        return self.network.labels

    def description(self) -> str:
        """Say which weights predict, and the least p(actor), for the user."""
        return (
            f"{self.info['checkpoint']}, p(actor) >= {self.info['score_threshold']:g}"
        )

    def frames(
        self,
        reader: Reader,
        span: Span,
        track_settings: TrackSettings,
        *,
        stops: Sequence[int] = (),
    ) -> Iterator[VideoFrame]:
        """Find and track the individuals of a video.

        Args:
          reader: the reader of the video.
          span: the answered frames, in which instances are predicted.
          track_settings: how individuals are tracked.
          stops: list of the numbers of the signals that have come, see
            `stop_on_signal`; when it gets one, no further frame is answered.

        Yields:
          the answered frames in order.

        Raises:
          InputError: a frame cannot be read, or `max_tracks` does not fit the labels.
        """
        frames = needed_frames(reader, span, self.info, stops)
        answers = find_instances(self.network, frames, span)
        return track_answers(
            self.network, answers, reader, span, track_settings, stops=stops
        )

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """Return the fields of `video.json` that depend on the network.

        It is {"boxes_only": True} if the network draws no masks, otherwise {}. The
        argument `reader` is not used.
        """
        if self.info.get("boxes_only"):
            return {"boxes_only": True}
        return {}

    def track_names(self, reader: Reader) -> dict[int, str]:
        """Return no names, because a network knows no individuals."""
        return {}


def find_instances(
    network: InstanceFinder,
    frames: Iterable[np.ndarray | None],
    span: Span = EVERY_FRAME,
) -> Generator[Answer, None, None]:
    """Find the instances in each frame of a span by a network.

    Args:
      network: the network, which computes features and finds instances.
      frames: every frame of a video from the first, RGB uint8 [H, W, 3]; None in place
        of a frame on which no answer depends.
      span: the answered frames, in which instances are predicted.

    Yields:
      each frame of the span with its instances, in order.
    """

    def find(clip: Clip) -> Instances:
        return network.instances(clip.features, clip.size, clip.motion)

    return answer_clips(network, find, frames, span)
