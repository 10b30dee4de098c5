"""What submodels are built of: symbolic inputs, backbones and RoIAlign."""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from a2d_tf.core.settings.config import ModelConfig
from a2d_tf.model import backbones
from a2d_tf.model.backbones.entry import Convention
from a2d_tf.model.layers import Function
from a2d_tf.ops import roi_align
from a2d_tf.ops.anchors import STRIDES

PIXEL_DEVIATION = 64
"""About the standard deviation of the pixels of photographs, of 0 to 255."""


@dataclasses.dataclass(frozen=True)
class Builder:
    """Builds the pieces of submodels by the settings of a network.

    All tensors that it returns are symbolic Keras tensors. The canvas is the network's
    input of --image_height x --image_width pixels.

    Attributes:
      config: settings of the network's structure.
      convention: what the network shares with the pretrained weights of the appearance
        backbone: normalisation of pixels, padding, strides.
      on_gpu: whether TensorFlow computes on a GPU; it decides how the gradient of
        RoIAlign is computed.
    """

    config: ModelConfig
    convention: Convention
    on_gpu: bool

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels of the padded canvas, the network's input."""
        return self.config.image_height, self.config.image_width

    def rgb(self) -> tf.Tensor:
        """Return a Keras input for RGB frames of 0 to 255, uint8 [B, H, W, 3]."""
        return tf.keras.Input([*self.image_size, 3], dtype=tf.uint8, name="rgb")

    def flow(self) -> tf.Tensor:
        """Return a Keras input for flow, float32 [B, H, W, 2].

        Flow is the motion (u, v), to the right and down, in pixels per frame.
        """
        return tf.keras.Input([*self.image_size, 2], name="flow")

    def rois(self) -> tf.Tensor:
        """Return a Keras input for RoIs, float32 [B, R, 4].

        Boxes are (y1, x1, y2, x2) in pixels of the padded canvas; R may differ between
        calls.
        """
        return tf.keras.Input([None, 4], name="rois")

    def pyramid(
        self, channels: int | None = None, frames: int | None = None
    ) -> list[tf.Tensor]:
        """Return Keras inputs for a feature pyramid: P2 to P5, strides 4, 8, 16, 32.

        Args:
          channels: number of channels of each level; None for --fpn_channels.
          frames: number of frames that the levels have as an axis of time; None for no
            such axis.

        Returns:
          a list of [B, h, w, channels], or of [B, frames, h, w, channels], in the dtype
          that layers compute in.
        """
        channels = channels or self.config.fpn_channels
        dtype = tf.keras.mixed_precision.global_policy().compute_dtype
        leading_axes = [] if frames is None else [frames]
        levels = []
        for stride in STRIDES[:4]:
            height, width = (side // stride for side in self.image_size)
            shape = [*leading_axes, height, width, channels]
            levels.append(tf.keras.Input(shape, dtype=dtype))
        return levels

    def backbone(self, x: tf.Tensor, stream: str, norm: str) -> list[tf.Tensor]:
        """Build one of the network's backbones over normalised frames.

        Args:
          x: float32 [N, H, W, 3], normalised RGB, or (u, v, length) of the scaled flow.
          stream: the backbone's purpose and the first part of its layers' names: 'rgb'
            for appearance, 'flow' for motion, 'action' for a second appearance backbone
            of the action branch, 'refiner' for the trunk of the refiner.
          norm: normalisation of its layers, 'frozen_bn', 'frozen_stats', 'group_norm'
            or 'none'.

        Returns:
          the maps C2 to C5 at strides 4, 8, 16 and 32, a list of [N, h, w, channels].
        """
        entry = backbones.find(self.config.backbone)
        if stream == "refiner" and self.config.refiner_backbone:
            entry = backbones.find(self.config.refiner_backbone, "refiner_backbone")
        convention = self.convention
        deviation = PIXEL_DEVIATION / self.convention.std[0]
        stem_norm = None
        if stream == "flow":
            convention = backbones.convention(self.config, "flow")
            deviation = self.config.flow_scale
            if norm == "group_norm":
                # It would erase the magnitude of the flow.
                stem_norm = "none"
        return entry.build(
            x,
            self.config.width_multiplier,
            norm,
            convention=convention,
            stem_norm=stem_norm,
            deviation=deviation,
            name=f"{stream}_{entry.family}",
        )

    def roi_align(
        self, pyramid: list[tf.Tensor], rois: tf.Tensor, cells: int, name: str
    ) -> tf.Tensor:
        """Crop the features of RoIs to a grid of cells (RoIAlign; paper, 3.1).

        The size of a RoI decides which level of the pyramid it is cropped from.

        Args:
          pyramid: P2 to P5, a list of [B, h, w, channels].
          rois: float32 [B, R, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
          cells: number of cells along each side, such as 7.
          name: name of the layer.

        Returns:
          float32 [B, R, cells, cells, channels].
        """
        align = functools.partial(
            roi_align.roi_align,
            size=cells,
            convention=self.convention.roi_align,
            image_size=self.image_size,
            gradient=roi_align.gradient_for(self.on_gpu),
        )
        return Function(align, name=name, dtype="float32")([pyramid, rois])
