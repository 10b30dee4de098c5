"""Class-agnostic segmentation of boxes, after SharpMask (Pinheiro et al., ECCV 2016).

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
from a2d_tf.model.fpn import upsample
from a2d_tf.model.heads import mask
from a2d_tf.model.layers import OUTPUT_STDDEV, ConvNorm
from a2d_tf.model.structures import BatchTruth, Rows, Seen, Terms
from a2d_tf.ops import masks as mask_ops
from a2d_tf.ops import roi_align

# SharpMask takes patches of 160 pixels around objects of 128.
MARGIN = 160 / 128
_COARSE_UNITS = 512
# As in SharpMask's training: shifts up to 16 of the object's 128 pixels, scales within
# 2^(1/4).
_SHIFT = 16 / 128
_LOG2_SCALE = 0.25


class Refiner:
    """Masks [B, N, 28, 28] of instances, probabilities inside the box; its model
    reads windows.
    """

    name: ClassVar[str] = "masks"
    model: tf.keras.Model
    needs_image = True

    def sample(self, truth: BatchTruth, number: int, rng: targets.Rng) -> Rows:
        """Return jittered boxes of so many instances a frame, drawn with
        replacement.
        """
        match_rng, jitter_rng = rng.split(2)
        count = tf.reduce_sum(tf.cast(truth.present, tf.int64), axis=1, keepdims=True)
        # The instances that are present come first.
        match = tf.cast(
            match_rng.uniform([number]) * tf.cast(count, tf.float32), tf.int64
        )
        boxes = jitter(tf.gather(truth.boxes, match, batch_dims=1), jitter_rng)
        valid = truth.annotated[:, None] & (count > 0)
        return Rows(boxes, match, valid, valid)

    def terms(self, image: tf.Tensor, rows: Rows, truth: BatchTruth) -> Terms:
        """Return the mask term of the rows of `sample`, of images uint8 [B, H, W,
        3].
        """
        logits = self.model({"rgb": image, "rois": rows.rois}, training=True)
        cells = logits.shape[2]
        masks = mask_ops.crop_targets(
            truth.masks, windows(rows.rois), rows.match, cells
        )
        return {
            "mask": [
                losses.mask(logits, masks, rows.positive & rows.matched(truth.has_mask))
            ]
        }

    def decode(self, seen: Seen, boxes: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Return the mask of each box."""
        logits = self.model({"rgb": seen.image, "rois": boxes}, training=seen.training)
        flat = tf.reshape(logits, [-1, *logits.shape[2:]])
        shape = [-1, tf.shape(boxes)[1], mask.SIZE, mask.SIZE]
        return tf.reshape(inside_box(flat, mask.SIZE), shape)


def jitter(boxes: tf.Tensor, rng: targets.Rng) -> tf.Tensor:
    """Shift boxes [B, R, 4] by up to 1/8 of their sides and scale them by up to
    2^(1/4), per axis.

    Boxes are (y1, x1, y2, x2).
    """
    size = boxes[..., 2:] - boxes[..., :2]
    draw = rng.uniform([*size.shape[1:], 2], -1.0, 1.0)
    centre = boxes[..., :2] + size * (0.5 + _SHIFT * draw[..., 0])
    half = 0.5 * size * tf.pow(2.0, _LOG2_SCALE * draw[..., 1])
    return tf.concat([centre - half, centre + half], axis=-1)


def windows(boxes: tf.Tensor) -> tf.Tensor:
    """Grow boxes [..., 4] by MARGIN about their centres, to the windows that are
    segmented.
    """
    half = 0.5 * (boxes[..., 2:] - boxes[..., :2])
    centre = boxes[..., :2] + half
    return tf.concat([centre - MARGIN * half, centre + MARGIN * half], axis=-1)


def patches(images: tf.Tensor, boxes: tf.Tensor, size: int) -> tf.Tensor:
    """Crop boxes to `size` x `size`; zero outside the image.

    Args:
      images: float [B, H, W, 3], preprocessed.
      boxes: float32 [B, R, 4] in pixels.

    Returns:
      float32 [B * R, size, size, 3].
    """
    owners = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
    samples = roi_align.crop(images, tf.reshape(boxes, [-1, 4]), owners, 2 * size)
    return tf.nn.avg_pool2d(samples, 2, 2, "VALID")


def segment(maps: list[tf.Tensor], channels: int) -> tf.Tensor:
    """Predict the mask logits of patches from the trunk's maps C2..C4.

    Args:
      maps: list of [N, size / 4, size / 4, C2] … [N, size / 16, size / 16, C4].
      channels: of the refinement modules.

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
    """Crop window logits [N, m, m] to their boxes: probabilities [N, size, size]."""
    count, side = tf.shape(logits)[0], logits.shape[1]
    border = 0.5 * side * (1.0 - 1.0 / MARGIN)
    box = tf.constant([border, border, side - border, side - border], tf.float32)
    boxes = tf.tile(box[None], [count, 1])
    return roi_align.crop(tf.sigmoid(logits)[..., None], boxes, tf.range(count), size)[
        ..., 0
    ]
