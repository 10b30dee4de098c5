"""Predict a video whose boxes a detector finds: our tracks, and labels of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames import streaming
from a2d_tf.video.frames.instances import FrameNetwork, GivenAnswer
from a2d_tf.video.frames.stream_clips import Clip
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.predictors.detector_classes import DetectorClasses
from a2d_tf.video.predictors.kinetics_actions import chosen_classes
from a2d_tf.video.predictors.object_detector import SCORE_THRESHOLD, ObjectDetector
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span

SURE = 0.4**0.5
"""The least root of a box's score with which it begins a track (docs/real_video.md)."""
_PERSON = "person"  # whose actions Kinetics has


class BoxNetwork(FrameNetwork, Protocol):
    """What labels boxes, as `box_labeller.BoxLabeller` does."""

    def label(self, given: GivenInstances, clip: Clip) -> GivenAnswer:
        """Label the given instances of a clip's key frame."""


@dataclasses.dataclass(frozen=True)
class DetectorPredictor:
    """Finds, tracks and labels the instances of videos, in place of a `Predictor`.

    Attributes:
      detector: finds the boxes.
      network: labels them.
      reads_kinetics: whether its actions are those of Kinetics.
    """

    detector: ObjectDetector
    network: BoxNetwork
    reads_kinetics: bool = False

    @property
    def info(self) -> ModelInfo:
        """The contents of `a2d_tf.json`."""
        return self.network.info

    @property
    def labels(self) -> LabelSpace:
        """The label space of the codes."""
        return self.network.labels

    def frames(
        self,
        reader: Reader,
        span: Span,
        track_settings: TrackSettings,
        *,
        stops: Sequence[Any] = (),
    ) -> Iterator[VideoFrame]:
        """Yield the answered frames of a video; see `streaming.predict_frames`."""
        frames = streaming.needed_frames(reader, span, self.info, stops)
        answers = streaming.answer_clips(self.network, self._answer, frames, span)
        return streaming.track_answers(
            self.network,
            answers,
            reader,
            span,
            track_settings,
            sure=SURE,
            stops=stops,
        )

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """Return further fields of `video.json`; see `prediction_folder.VideoInfo`."""
        facts: dict[str, Any] = {}
        if self.info.get("boxes_only") and not self.detector.has_masks:
            facts["boxes_only"] = True
        if self.reads_kinetics:
            facts["kinetics"] = True
        return facts

    def track_names(self, reader: Reader) -> dict[int, str]:
        """Return {number of a track: name}: none has one."""
        return {}

    def _answer(self, clip: Clip) -> GivenAnswer:
        found = self.detector.instances(clip.image)
        return self.network.label(found, clip)


def load(
    detector: str,
    model: str | None,
    *,
    actors: Sequence[str],
    actions: Sequence[str],
    checkpoint: str,
    device: str,
    settings: dict[str, Any],
) -> DetectorPredictor:
    """Load a detector and what labels its boxes, and announce the device.

    Args:
      detector: folder of a SavedModel.
      model: a path as of `Predictor.load`; None: boxes have the names of their classes.
      actors: as for `DetectorClasses`.
      actions: without a model, as for `kinetics_actions.chosen_classes`.
      checkpoint: of a run, "last" or "best".
      device: as for `devices.prepare`.
      settings: {name: value} of inference and computing that are given; of inference,
        `score_threshold` is the least score of a box.

    Raises:
      InputError: as of `ObjectDetector.load`, `DetectorClasses` and `BoxLabeller.load`.
    """
    settings = dict(settings)
    threshold = settings.pop("score_threshold", SCORE_THRESHOLD)
    name_of_action = chosen_classes(actions)
    if model is None:
        if name_of_action and not actors:
            actors = [_PERSON]
        classes = DetectorClasses.parse(actors)

    # They import TensorFlow.
    from a2d_tf.video.predictors.box_labeller import BoxLabeller
    from a2d_tf.video.predictors.kinetics_actions import KineticsActions
    from a2d_tf.video.predictors.untrained_labeller import UntrainedLabeller

    gpus = devices.prepare(device)
    network: BoxNetwork
    if model is not None:
        network = BoxLabeller.load(model, checkpoint=checkpoint, **settings)
        classes = DetectorClasses.for_model(actors, network.labels.actors)
    elif name_of_action:
        network = UntrainedLabeller(classes.actors, KineticsActions(name_of_action))
    else:
        network = UntrainedLabeller(classes.actors)
    object_detector = ObjectDetector.load(detector, classes, threshold)
    devices.announce(gpus, network.info["precision"])
    return DetectorPredictor(object_detector, network, bool(name_of_action))
