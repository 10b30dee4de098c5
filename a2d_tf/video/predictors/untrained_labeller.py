"""Label boxes of a detector by its classes, without a model of the user's."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from a2d_tf.annotations.documents.conventions import UNDEFINED
from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.clips import Clip
from a2d_tf.video.frames.feature_network import FrameFeatures
from a2d_tf.video.frames.instances import LabelledBoxes
from a2d_tf.video.predictors.kinetics_actions import BACKBONE, KineticsActions
from a2d_tf.video.predictors.labelled_boxes import (
    fill_boxes,
    label_boxes,
    no_instances,
)

_SIDE = 32  # pixels of stored frames; small ones cost least, and no label needs them


class UntrainedLabeller:
    """A `BoxLabeller` that needs no training.

    The actor is the class of the box; I3D may tell the action.

    Args:
      actors: names, of which each instance has one.
      actions: tells the actions; None leaves them undefined.
    """

    def __init__(
        self, actors: Sequence[str], actions: KineticsActions | None = None
    ) -> None:
        self._actions = actions
        names = [UNDEFINED]
        if actions is not None:
            names = [*actions.names]
        self.labels = LabelSpace.from_fields({"actors": [*actors], "actions": names})
        self.info: ModelInfo = {
            "labels": json.loads(self.labels.to_json()),
            "frames": 1,
            "clip_stride": 1,
            "image_height": _SIDE,
            "image_width": _SIDE,
            "use_flow": False,
            "joint": False,
            "precision": "float32",
            "boxes_only": True,
        }
        if actions is not None:
            self.info["motion"] = {
                "action_backbone": BACKBONE,
                "sha256": actions.sha256,
                "flow_histograms": False,
            }

    def features(self, rgb: np.ndarray, flow: np.ndarray) -> FrameFeatures:
        """Return no features: labels do not depend on single frames."""
        return {}

    def motion_stream(self) -> MotionStream:
        """See `FeatureNetwork`."""
        assert self._actions is not None
        return self._actions.motion_stream()

    def label(self, instances: GivenInstances, clip: Clip) -> LabelledBoxes:
        """See `BoxLabeller`."""
        size = clip.size
        count = len(instances.boxes)
        if not count:
            return no_instances(self.labels, size)
        actor_scores = np.zeros((count, len(self.labels.actors)), np.float32)
        actor_scores[np.arange(count), instances.actors] = 1
        action_scores = np.ones((count, 1), np.float32)
        if self._actions is not None:
            assert clip.motion is not None
            shares = instances.boxes / np.tile(np.array(size, np.float32), 2)
            action_scores = self._actions.read(clip.motion, shares)
        return label_boxes(
            instances,
            fill_boxes(instances, size),
            self.labels,
            actor_scores=actor_scores,
            action_scores=action_scores,
            draws_masks=False,
        )
