"""Label boxes of a detector without any model of a user's own."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from a2d_tf.annotations.documents.conventions import UNDEFINED
from a2d_tf.annotations.tracks.video_tracks import GivenInstances
from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.serving.model_info import ModelInfo
from a2d_tf.video.frames.instances import FrameFeatures, GivenAnswer
from a2d_tf.video.frames.stream_clips import Clip
from a2d_tf.video.predictors.given_answer import fill_boxes, labelled, no_instances
from a2d_tf.video.predictors.kinetics_actions import BACKBONE, KineticsActions

_SIDE = 32  # pixels of stored frames, at which nobody looks


class UntrainedLabeller:
    """A `BoxNetwork` that says of a box what its detector does, and maybe an action.

    Args:
      actors: names, of which each instance has one.
      actions: what they do; None leaves that undefined.

    Attributes:
      info, labels: as of `FrameNetwork`.
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
        """Return no features: nothing is read of single frames."""
        return {}

    def motion_stream(self) -> MotionStream:
        """See `FrameNetwork`."""
        assert self._actions is not None
        return self._actions.motion_stream()

    def label(self, given: GivenInstances, clip: Clip) -> GivenAnswer:
        """Label the given instances of a clip's key frame; see `BoxNetwork`."""
        size = clip.size
        count = len(given.boxes)
        if not count:
            return no_instances(self.labels, size)
        actor_scores = np.zeros((count, len(self.labels.actors)), np.float32)
        actor_scores[np.arange(count), given.actors] = 1
        action_scores = np.ones((count, 1), np.float32)
        if self._actions is not None:
            assert clip.motion is not None
            shares = given.boxes / np.tile(np.array(size, np.float32), 2)
            action_scores = self._actions.read(clip.motion, shares)
        return labelled(
            given,
            fill_boxes(given, size),
            self.labels,
            actor_scores=actor_scores,
            action_scores=action_scores,
            draws_masks=False,
        )
