"""Label boxes by a fit to features that were computed before: no network runs."""

from __future__ import annotations

import numpy as np

from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.training.given_tracks.fit_tracks import TrackWeights
from a2d_tf.training.given_tracks.track_features import TrackFeatures
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.feature_network import FrameFeatures
from a2d_tf.video.frames.instances import LabelledBoxes
from a2d_tf.video.predictors.labelled_boxes import (
    fill_boxes,
    label_boxes,
    no_instances,
)


class FittedLabeller:
    """A `BoxLabeller` of the tracks of one video.

    Args:
      weights: the fit.
      labels: the label space of the fit.
      features: of the instances in the answered frames of the video.
      info: the description of a model with the same labels.
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
        self.labels = labels
        self.info = info.copy()
        self.info["frames"] = 0  # of a clip: no frame is looked at
        self.info.pop("motion", None)

    def features(self, rgb: np.ndarray, flow: np.ndarray) -> FrameFeatures:
        """Return no features: the frame is only drawn."""
        return {}

    def motion_stream(self) -> MotionStream:
        """Return a stream without maps."""
        return MotionStream(None, flow_histograms=False)

    def label(self, instances: GivenInstances, clip: Clip) -> LabelledBoxes:
        """See `BoxLabeller`."""
        if not len(instances.boxes):
            return no_instances(self.labels, clip.size)
        rows = self._features.rows(clip.key + 1, instances.tracks)
        features = {}
        for name, values in self._features.groups.items():
            features[name] = values[rows]
        probabilities = self._weights.probabilities(features)
        return label_boxes(
            instances,
            fill_boxes(instances, clip.size),
            self.labels,
            actor_scores=probabilities.actors.astype(np.float32),
            action_scores=probabilities.actions.astype(np.float32),
            draws_masks=False,
        )
