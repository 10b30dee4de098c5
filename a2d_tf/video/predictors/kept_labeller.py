"""Label given instances by a fit to kept features: no network computes."""

from __future__ import annotations

from collections.abc import Generator, Iterable

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.training.given_tracks.fit_tracks import TrackWeights
from a2d_tf.training.given_tracks.track_features import TrackFeatures
from a2d_tf.video.frames.instances import Answer, GivenAnswer, GivenFrames
from a2d_tf.video.predictors.given_answer import fill_boxes, labelled, no_instances
from a2d_tf.video.reading.span import Span


class KeptLabeller:
    """A `Labeller` of one video.

    Args:
      weights: say what instances are and do.
      labels: the label space of the weights.
      features: of the video, in the frames that are answered.
      info: of the model with the same labels.
    """

    def __init__(
        self,
        weights: TrackWeights,
        labels: LabelSpace,
        features: TrackFeatures,
        info: ModelInfo,
    ) -> None:
        self._weights = weights
        self._features = features
        # Frames are read to be drawn, and no motion is.
        self.info = info.copy()
        self.info.pop("motion", None)
        self.labels = labels

    def answers(
        self, frames: Iterable[np.ndarray | None], span: Span, given: GivenFrames
    ) -> Generator[Answer, None, None]:
        """Label the instances in the frames of a span; see `Labeller.answers`."""
        for index, frame in enumerate(frames):
            if index not in span:
                continue
            assert frame is not None
            size = (frame.shape[0], frame.shape[1])
            yield Answer(frame, self._label(given, index + 1, size))

    def _label(
        self, given: GivenFrames, number: int, size: tuple[int, int]
    ) -> GivenAnswer:
        """Return the answer to a frame (height, width)."""
        instances = given.instances(number, size)
        if not len(instances.boxes):
            return no_instances(self.labels, size)
        rows = self._features.rows(number, instances.tracks)
        features = {}
        for name, values in self._features.groups.items():
            features[name] = values[rows]
        probabilities = self._weights.probabilities(features)
        return labelled(
            instances,
            fill_boxes(instances, size),
            self.labels,
            actor_scores=probabilities.actors.astype(np.float32),
            action_scores=probabilities.actions.astype(np.float32),
            draws_masks=False,
        )
