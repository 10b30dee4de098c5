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
    """Builds pieces of submodels by the settings of the model.

    Attributes:
      config: the settings.
      convention: of the weights of the appearance backbone.
      on_gpu: whether TensorFlow computes on a GPU.
    """

    config: ModelConfig
    convention: Convention
    on_gpu: bool

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the canvas."""
        return self.config.image_height, self.config.image_width

    def rgb(self) -> tf.Tensor:
        """Return a symbolic frame, uint8 [B, H, W, 3]."""
        return tf.keras.Input([*self.image_size, 3], dtype=tf.uint8, name="rgb")

    def flow(self) -> tf.Tensor:
        """Return the symbolic flow of a frame, float32 [B, H, W, 2]."""
        return tf.keras.Input([*self.image_size, 2], name="flow")

    def rois(self) -> tf.Tensor:
        """Return symbolic RoIs, float32 [B, R, 4]."""
        return tf.keras.Input([None, 4], name="rois")

    def pyramid(
        self, channels: int | None = None, frames: int | None = None
    ) -> list[tf.Tensor]:
        """Return symbolic P2..P5, [B, h, w, C]; with `frames`, [B, frames, h, w, C].

        Args:
          channels: C, by default --fpn_channels.
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
        """Build a backbone over normalised frames: maps C2..C5.

        Args:
          x: float32 [N, H, W, 3].
          stream: "rgb", "flow", "action" or "refiner", part of the layers' names.
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
        """Return the features of RoIs, [B, R, cells, cells, C]."""
        align = functools.partial(
            roi_align.roi_align,
            size=cells,
            convention=self.convention.roi_align,
            image_size=self.image_size,
            gradient=roi_align.gradient_for(self.on_gpu),
        )
        return Function(align, name=name, dtype="float32")([pyramid, rois])
