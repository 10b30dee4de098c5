"""The refiner: class-agnostic masks of boxes, a SharpMask (Pinheiro et al., ECCV 2016).

The "Ours w/o Mask + SM" row of Table 3 (4.3) has no mask head; this network segments
its detections. A backbone up to C4, the trunk, reads the RGB window around a box. Two
fully connected layers over the whole window predict a coarse mask, which refinement
modules merge with each finer map of the trunk.

It is trained without the detector, on instances inside jittered boxes; the jitter
stands for the error of the detector's boxes.
"""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from a2d_tf.model import losses, targets
from a2d_tf.model.building import Builder
from a2d_tf.model.fpn import upsample
from a2d_tf.model.heads.base import InstanceHead
from a2d_tf.model.heads.mask import SIZE
from a2d_tf.model.layers import OUTPUT_STDDEV, ConvNorm
from a2d_tf.model.structures import BatchTruth, HeadInputs, SampledRois, Terms
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops.crop import crop, crop_patches

# SharpMask takes patches of 160 pixels around objects of 128.
MARGIN = 160 / 128
_COARSE_UNITS = 512
# As in SharpMask's training: shifts up to 16 of the object's 128 pixels, scales within
# 2^(1/4).
_SHIFT = 16 / 128
_LOG2_SCALE = 0.25


class Refiner(InstanceHead):
    """The refiner as a head: segments each box with a network of its own (4.3).

    Its result is `masks`, float32 [B, N, 28, 28]: probabilities on a grid inside the
    box of each instance, whatever its class. It learns in --train_phase=refiner,
    without the detector.
    """

    result: ClassVar[str] = "masks"
    setting: ClassVar[str] = "use_refiner"
    part: ClassVar[str] = "refiner"
    phase: ClassVar[str] = "refiner"
    loss_terms: ClassVar[tuple[str, ...]] = ("mask",)
    needs_image = True

    def build_model(self, builder: Builder) -> tf.keras.Model:
        """Build its model: crop windows around boxes, backbone up to C4, mask.

        The window around a box is 1.25 times as large as the box (`windows`).

        Args:
          builder: builds inputs and backbone by the settings of the network.

        Returns:
          the submodel {rgb: uint8 [B, H, W, 3], rois: float32 [B, R, 4]} -> logits
          float32 [B, R, m, m] over the windows, m = --refiner_size / 2.
        """
        config = builder.config
        rgb = builder.rgb()
        rois = builder.rois()
        image = builder.convention.preprocess(rgb)
        patches = crop_patches(image, windows(rois), config.refiner_size)
        *maps, _ = builder.backbone(patches, "refiner", config.norm)
        logits = refine(maps, config.refiner_channels)
        logits = tf.reshape(logits, [-1, tf.shape(rois)[1], *logits.shape[1:]])
        return tf.keras.Model({"rgb": rgb, "rois": rois}, logits, name=self.part)

    def sample(self, truth: BatchTruth, number: int, rng: targets.Rng) -> SampledRois:
        """Draw jittered boxes of each frame's instances, with replacement.

        Args:
          truth: the true instances.
          number: number of boxes per frame.
          rng: random numbers.

        Returns:
          boxes [B, number, 4] with their instances; `positive` and `counted` are [B,
          1], False for frames without instances or annotation.
        """
        match_rng, jitter_rng = rng.split(2)
        count = tf.reduce_sum(tf.cast(truth.present, tf.int64), axis=1, keepdims=True)
        # The instances that are present come first.
        match = tf.cast(
            match_rng.uniform([number]) * tf.cast(count, tf.float32), tf.int64
        )
        boxes = jitter(tf.gather(truth.boxes, match, batch_dims=1), jitter_rng)
        valid = truth.annotated[:, None] & (count > 0)
        return SampledRois(boxes=boxes, match=match, positive=valid, counted=valid)

    def terms_alone(
        self, image: tf.Tensor, truth: BatchTruth, number: int, rng: targets.Rng
    ) -> Terms:
        """Compute the mask loss on jittered boxes of instances, without the detector.

        Args:
          image: uint8 [B, H, W, 3], the key frames in RGB on the padded canvas.
          truth: the true instances; those without a mask do not count.
          number: number of boxes per frame.
          rng: random numbers.

        Returns:
          {mask: [binary cross-entropy of the pixels]}, as a sum over boxes and its
          divisor.
        """
        rois = self.sample(truth, number, rng)
        logits = self.model({"rgb": image, "rois": rois.boxes}, training=True)
        cells = logits.shape[2]
        masks = mask_ops.crop_targets(
            truth.masks, windows(rois.boxes), rois.match, cells
        )
        counted = rois.positive & rois.gather_matches(truth.has_mask)
        return {"mask": [losses.mask(logits, masks, counted)]}

    def decode(
        self, head_inputs: HeadInputs, boxes: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """Segment each box, and crop the mask of its window to the box.

        Args:
          head_inputs: image of the key frames.
          boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the padded canvas.
          classes: not read; masks do not depend on the class.

        Returns:
          probabilities float32 [B, N, 28, 28] on a grid inside each box.
        """
        logits = self.run(head_inputs, boxes)
        flat = tf.reshape(logits, [-1, *logits.shape[2:]])
        shape = [-1, tf.shape(boxes)[1], SIZE, SIZE]
        return tf.reshape(inside_box(flat, SIZE), shape)


def jitter(boxes: tf.Tensor, rng: targets.Rng) -> tf.Tensor:
    """Shift boxes by up to 1/8 of their sides, and scale them by up to 2^(1/4).

    Both axes are drawn independently. The numbers are those of SharpMask's training.

    Args:
      boxes: float32 [B, R, 4], (y1, x1, y2, x2).
      rng: random numbers.

    Returns:
      float32 [B, R, 4], which may reach beyond the frame.
    """
    size = boxes[..., 2:] - boxes[..., :2]
    draw = rng.uniform([*size.shape[1:], 2], -1.0, 1.0)
    centre = boxes[..., :2] + size * (0.5 + _SHIFT * draw[..., 0])
    half = 0.5 * size * tf.pow(2.0, _LOG2_SCALE * draw[..., 1])
    return tf.concat([centre - half, centre + half], axis=-1)


def windows(boxes: tf.Tensor) -> tf.Tensor:
    """Return the windows that the refiner segments: boxes, 1.25 times as large.

    A window has the centre of its box.

    Args:
      boxes: float32 [..., 4], (y1, x1, y2, x2).

    Returns:
      float32 [..., 4], which may reach beyond the frame.
    """
    half = 0.5 * (boxes[..., 2:] - boxes[..., :2])
    centre = boxes[..., :2] + half
    return tf.concat([centre - MARGIN * half, centre + MARGIN * half], axis=-1)


def refine(maps: list[tf.Tensor], channels: int) -> tf.Tensor:
    """Build the layers from the trunk's maps C2..C4 to the mask logits of patches.

    Args:
      maps: C2 to C4 of N patches of `size` pixels, a list of [N, size / 4, size / 4,
        C2] … [N, size / 16, size / 16, C4].
      channels: number of channels of the refinement modules.

    Returns:
      float32 [N, size / 2, size / 2] over the window.
    """
    side = maps[-1].shape[1]
    x = ConvNorm(channels, 1, name="refiner_reduce")(maps[-1])
    x = ConvNorm(_COARSE_UNITS, side, padding="valid", name="refiner_fc1")(x)
    x = ConvNorm(side * side * channels, 1, name="refiner_fc2")(x)
    mask = tf.reshape(x, [-1, side, side, channels])
    for level in reversed(range(len(maps))):
        skip = ConvNorm(channels, 3, name=f"refiner_skip{level + 2}")(maps[level])
        merged = tf.concat([mask, skip], axis=-1)
        mask = upsample(ConvNorm(channels, 3, name=f"refiner_merge{level + 2}")(merged))
    logits = ConvNorm(1, 3, relu=False, stddev=OUTPUT_STDDEV, name="refiner_logits")(
        mask
    )
    return tf.cast(logits[..., 0], tf.float32)


def inside_box(logits: tf.Tensor, size: int) -> tf.Tensor:
    """Turn logits over windows into probabilities inside their boxes.

    Args:
      logits: float32 [N, m, m] over windows, 1.25 times as large as their boxes.
      size: number of cells of the result along each side.

    Returns:
      probabilities float32 [N, size, size] on a grid inside the box.
    """
    count = tf.shape(logits)[0]
    side = logits.shape[1]
    border = 0.5 * side * (1.0 - 1.0 / MARGIN)
    box = tf.constant([border, border, side - border, side - border], tf.float32)
    boxes = tf.tile(box[None], [count, 1])
    probabilities = tf.sigmoid(logits)[..., None]
    return crop(probabilities, boxes, tf.range(count), size)[..., 0]
