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
"""The backbones' features of a frame: {name: [1, ...]}; those of the flow are named
`flow_*`.
"""


class FeatureNetwork(Protocol):
    """A network that computes the features of single frames.

    `predictors.roles` extends it by what the network does with the features of a clip.
    """

    @property
    def info(self) -> ModelInfo:
        """The description of the model."""

    @property
    def labels(self) -> LabelSpace:
        """The label space of the codes."""

    def features(self, rgb: np.ndarray, flow: np.ndarray) -> FrameFeatures:
        """Compute the features of a frame.

        Args:
          rgb: uint8 [h, w, 3], at the stored size.
          flow: float32 [h, w, 2] from the previous frame to this one, pixels.
        """

    def motion_stream(self) -> MotionStream:
        """Return what computes the motion maps of a video, if `info` has "motion"."""
