"""Label the boxes of a detector by its classes, without a model that a user trained."""

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
    """A labeller of a detector's boxes that needs no training.

    The actor is the class of the box; the published I3D may tell the action.

    Args:
      actors: names of the actors; each instance has the index of one of them.
      actions: the published I3D, which tells the actions; None leaves them undefined.

    Attributes:
      labels: the label space of these actors and actions.
      info: the description of a model with them, as in `a2d_tf.json`.
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
        """Return no features, because labels do not depend on them."""
        return {}

    def motion_stream(self) -> MotionStream:
        """Return a new stream that computes I3D's maps of one video.

        Call it only if there are actions.
        """
        assert self._actions is not None
        return self._actions.motion_stream()

    def label(self, instances: GivenInstances, clip: Clip) -> LabelledBoxes:
        """Label the boxes of a frame by their classes, and maybe by I3D.

        p(actor) of a box is 1 for its class, before it is multiplied by the root of the
        detector's score. I3D tells p(action), which is 1 if actions are undefined.

        Args:
          instances: the N instances, each with the index of its actor.
          clip: the clip around the frame, with its motion maps if I3D tells the
            actions.

        Returns:
          the N instances in the same order. An instance without a mask has its filled
          box.
        """
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
