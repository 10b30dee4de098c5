"""Label boxes by weights that were fitted to kept features: no network runs."""

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
    """A labeller of the given tracks of one video, by features that are kept in a file.

    A round of given tracks of `a2d start` predicts its videos with it.

    Args:
      weights: the fitted weights of actors and actions.
      labels: the label space of these weights.
      features: kept features of the instances in the answered frames of the video.
      info: the description of a model with the same labels, which is copied.

    Attributes:
      labels: the argument.
      info: the description, with clips of 0 frames and without motion maps.
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
        """Return no features: they were computed before. The arguments are not used."""
        return {}

    def motion_stream(self) -> MotionStream:
        """Return a stream that computes no motion maps."""
        return MotionStream(None, flow_histograms=False)

    def label(self, instances: GivenInstances, clip: Clip) -> LabelledBoxes:
        """Label the given instances of a frame by their kept features.

        Args:
          instances: the N instances; their tracks tell their features.
          clip: the clip around the frame, which needs no features.

        Returns:
          the N instances in the same order. An instance without a mask has its filled
          box.
        """
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
