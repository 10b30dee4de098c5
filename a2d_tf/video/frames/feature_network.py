"""The interface of a network that computes the features of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.data.preparation.motion_stream import MotionStream
from a2d_tf.serving.model_info import ModelInfo

if TYPE_CHECKING:
    import tensorflow as tf

FrameFeatures = dict[str, "tf.Tensor"]
"""The features that the backbones compute from one frame: {name: tensor [1, ...]}.

Features of the optical flow are named `flow_*`.
"""


class FeatureNetwork(Protocol):
    """A network that computes the features of single frames.

    `InstanceFinder` and `BoxLabeller` in `predictors.roles` extend it by what the
    network predicts from the features of a clip.
    """

    @property
    def info(self) -> ModelInfo:
        """The description of the network, as in `a2d_tf.json` of an export."""

    @property
    def labels(self) -> LabelSpace:
        """The label space of the network: its actors, actions and valid pairs.

        It has the code (whole number) of each pair, by which instances are labelled.
        """

    def features(self, rgb: np.ndarray, flow: np.ndarray) -> FrameFeatures:
        """Compute the features of one frame.

        Args:
          rgb: the frame, RGB uint8 [h, w, 3], at the size of the frames in the records.
          flow: float32 [h, w, 2], displacement of each pixel from the previous frame to
            this one, in pixels; zero for the first frame.

        Returns:
          {name: tensor [1, ...]}, to be passed on in a clip.
        """

    def motion_stream(self) -> MotionStream:
        """Return a new stream that computes the motion maps of one video.

        Call it only if `info` has "motion".
        """
