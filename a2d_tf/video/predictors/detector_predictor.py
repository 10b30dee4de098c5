"""Predict a video by a detector, which finds boxes, and a labeller of these boxes."""

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
"""The least square root of a detector's score with which a box begins a track.

It is the score of a box of 0.4 (docs/real_video.md).
"""
_PERSON = "person"  # whose actions Kinetics has


@dataclasses.dataclass(frozen=True)
class DetectorPredictor:
    """A predictor of videos whose instances a detector finds, box by box.

    The boxes of each frame are labelled, and then linked into tracks.

    Attributes:
      detector: the detector that finds the boxes.
      labeller: labels the boxes: a network, or the boxes' classes.
      reads_kinetics: whether the actions are classes of Kinetics, told by I3D.
    """

    detector: ObjectDetector
    labeller: BoxLabeller
    reads_kinetics: bool = False

    @property
    def info(self) -> ModelInfo:
        """The description of the labeller, as in `a2d_tf.json`."""
        return self.labeller.info

    @property
    def labels(self) -> LabelSpace:
        """The label space of the labeller: its actors, its actions and their codes."""
        return self.labeller.labels

    def description(self) -> str:
        """Say which detector finds the boxes, and the least score, for the user."""
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
        """Find, label and track the individuals of a video.

        Args:
          reader: the reader of the video.
          span: the answered frames, in which instances are predicted.
          track_settings: how individuals are tracked.
          stops: list of the numbers of the signals that have come, see
            `stop_on_signal`; when it gets one, no further frame is answered.

        Yields:
          the answered frames in order.

        Raises:
          InputError: a frame cannot be read, the detector's output is not of its
            signature, or `max_tracks` does not fit the labels.
        """
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
        """Return the fields of `video.json` that depend on detector and labeller.

        "boxes_only" is True if neither gives masks, "kinetics" if I3D tells the
        actions; a field that would be False is left out. The argument `reader` is not
        used.
        """
        facts: dict[str, Any] = {}
        if self.info.get("boxes_only") and not self.detector.has_masks:
            facts["boxes_only"] = True
        if self.reads_kinetics:
            facts["kinetics"] = True
        return facts

    def track_names(self, reader: Reader) -> dict[int, str]:
        """Return no names, because a detector knows no individuals."""
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
    """Load a detector and a labeller of its boxes, and print the device that computes.

    Args:
      detector: path of the folder of the detector's SavedModel.
      model: path of the run, export or packed model that labels the boxes; None to
        label each box by its class.
      actors: the words of --actors, CLASS or NAME=CLASS each; see `DetectorClasses`.
      actions: the words of --actions, CLASS or NAME=CLASS with a class of Kinetics
        each, or "kinetics" alone; only without a model. Without words, actions are
        undefined.
      checkpoint: weights of a run, "last" or "best".
      device: 'cpu', 'gpu' or 'auto', see `devices.prepare`.
      settings: {name: value} of the settings of inference and computing that the user
        set; `score_threshold` is the least score of a box.

    Raises:
      InputError: the detector or the model cannot be loaded, or --actors or --actions
        name an unknown class.
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
