"""Predict a video by a detector of boxes and a model that labels them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

from a2d_tf.core.labels import LabelSpace
from a2d_tf.core.machine import devices
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.answers import answer_clips, needed_frames
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.instances import LabelledBoxes
from a2d_tf.video.frames.track_settings import TrackSettings
from a2d_tf.video.frames.tracked_answers import track_answers
from a2d_tf.video.frames.video_frame import VideoFrame
from a2d_tf.video.predictors.detector_classes import DetectorClasses
from a2d_tf.video.predictors.kinetics_actions import chosen_classes
from a2d_tf.video.predictors.object_detector import SCORE_THRESHOLD, ObjectDetector
from a2d_tf.video.predictors.roles import BoxLabeller
from a2d_tf.video.reading.reader import Reader
from a2d_tf.video.reading.span import Span

SURE = 0.4**0.5
"""The least root of a box's score with which it begins a track (docs/real_video.md)."""
_PERSON = "person"  # whose actions Kinetics has


@dataclasses.dataclass(frozen=True)
class DetectorPredictor:
    """A `VideoPredictor` whose detector finds boxes.

    Attributes:
      detector: finds the boxes.
      labeller: labels the boxes.
      reads_kinetics: whether the actions are those of Kinetics.
    """

    detector: ObjectDetector
    labeller: BoxLabeller
    reads_kinetics: bool = False

    @property
    def info(self) -> ModelInfo:
        """See `VideoPredictor`."""
        return self.labeller.info

    @property
    def labels(self) -> LabelSpace:
        """See `VideoPredictor`."""
        return self.labeller.labels

    def description(self) -> str:
        """See `VideoPredictor`."""
        threshold = self.detector.score_threshold
        return f"{os.path.normpath(self.detector.path)}, score >= {threshold:g}"

    def frames(
        self,
        reader: Reader,
        span: Span,
        track_settings: TrackSettings,
        *,
        stops: Sequence[int] = (),
    ) -> Iterator[VideoFrame]:
        """Detect, track and label the individuals of a video; see `VideoPredictor`."""
        frames = needed_frames(reader, span, self.info, stops)
        answers = answer_clips(self.labeller, self._answer, frames, span)
        return track_answers(
            self.labeller,
            answers,
            reader,
            span,
            track_settings,
            sure=SURE,
            stops=stops,
        )

    def video_facts(self, reader: Reader) -> dict[str, Any]:
        """See `VideoPredictor`."""
        facts: dict[str, Any] = {}
        if self.info.get("boxes_only") and not self.detector.has_masks:
            facts["boxes_only"] = True
        if self.reads_kinetics:
            facts["kinetics"] = True
        return facts

    def track_names(self, reader: Reader) -> dict[int, str]:
        """See `VideoPredictor`; a detector knows no names."""
        return {}

    def _answer(self, clip: Clip) -> LabelledBoxes:
        instances = self.detector.instances(clip.image)
        return self.labeller.label(instances, clip)


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
    """Load a detector and a labeller of its boxes, and announce the device.

    Args:
      detector: folder of a SavedModel.
      model: path of the model that labels boxes; None to name boxes by their classes.
      actors: classes of the detector, see `DetectorClasses.parse`.
      actions: see `kinetics_actions.chosen_classes`; only without a model.
      checkpoint: "last" or "best" of a run.
      device: see `devices.prepare`.
      settings: {name: value} of the settings of inference and computing that the user
        set; `score_threshold` is the least score of a box.

    Raises:
      InputError: see `ObjectDetector.load`, `DetectorClasses`, `ServedLabeller.load`.
    """
    settings = dict(settings)
    threshold = settings.pop("score_threshold", SCORE_THRESHOLD)
    name_of_action = chosen_classes(actions)
    if model is None:
        if name_of_action and not actors:
            actors = [_PERSON]
        classes = DetectorClasses.parse(actors)

    # They import TensorFlow.
    from a2d_tf.video.predictors.kinetics_actions import KineticsActions
    from a2d_tf.video.predictors.served_labeller import ServedLabeller
    from a2d_tf.video.predictors.untrained_labeller import UntrainedLabeller

    gpus = devices.prepare(device)
    labeller: BoxLabeller
    if model is not None:
        labeller = ServedLabeller.load(model, checkpoint=checkpoint, **settings)
        classes = DetectorClasses.for_model(actors, labeller.labels.actors)
    elif name_of_action:
        labeller = UntrainedLabeller(classes.actors, KineticsActions(name_of_action))
    else:
        labeller = UntrainedLabeller(classes.actors)
    object_detector = ObjectDetector.load(detector, classes, threshold)
    devices.announce(gpus, labeller.info["precision"])
    return DetectorPredictor(object_detector, labeller, bool(name_of_action))
