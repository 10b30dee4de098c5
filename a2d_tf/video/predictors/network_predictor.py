"""Predict a video by a network that finds the instances."""

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
"""A model that can predict videos, see `video_predictor`."""


def video_predictor(model: LoadedModel) -> VideoPredictor:
    """Return the predictor of whole videos by a model."""
    if isinstance(model, VideoPredictor):
        return model
    return NetworkPredictor(model)


@dataclasses.dataclass(frozen=True)
class NetworkPredictor:
    """A `VideoPredictor` whose network finds the instances.

    Attributes:
      network: finds the instances in a frame.
    """

    network: InstanceFinder

    @property
    def info(self) -> ModelInfo:
        """See `VideoPredictor`."""
        return self.network.info

    @property
    def labels(self) -> LabelSpace:
        """See `VideoPredictor`."""
        return self.network.labels

    def description(self) -> str:
        """See `VideoPredictor`."""
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
        """See `VideoPredictor`."""
        frames = needed_frames(reader, span, self.info, stops)
        answers = find_instances(self.network, frames, span)
        return track_answers(
            self.network, answers, reader, span, track_settings, stops=stops
        )

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """See `VideoPredictor`."""
        if self.info.get("boxes_only"):
            return {"boxes_only": True}
        return {}

    def track_names(self, reader: Reader) -> dict[int, str]:
        """See `VideoPredictor`; a network knows no names."""
        return {}


def find_instances(
    network: InstanceFinder,
    frames: Iterable[np.ndarray | None],
    span: Span = EVERY_FRAME,
) -> Generator[Answer, None, None]:
    """Find the instances in each frame of a span.

    Args:
      frames: all frames of a video, see `clips_of_span`.
    """

    def find(clip: Clip) -> Instances:
        return network.instances(clip.features, clip.size, clip.motion)

    return answer_clips(network, find, frames, span)
