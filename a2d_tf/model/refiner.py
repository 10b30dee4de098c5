"""Class-agnostic segmentation of boxes, after SharpMask (Pinheiro et al., ECCV 2016).

The "Ours w/o Mask + SM" row of Table 3 has no mask head; this network, trained separately, segments
its detections. A ResNet trunk reads the RGB window around a box. Two fully connected layers over
the whole window predict a coarse mask, which refinement modules merge with each finer map of the
trunk.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.model.fpn import upsample
from a2d_tf.model.layers import OUTPUT_STDDEV, ConvNorm
from a2d_tf.ops import roi_align

# SharpMask takes patches of 160 pixels around objects of 128.
MARGIN = 160 / 128
_COARSE_UNITS = 512


def windows(boxes: tf.Tensor) -> tf.Tensor:
    """Grow boxes [..., 4] by MARGIN about their centres, to the windows that are segmented."""
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
    """Predict the mask logits of patches from the trunk's maps C2..C5.

    Args:
      maps: list of [N, size / 4, size / 4, C2] … [N, size / 32, size / 32, C5].
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
    logits = ConvNorm(1, 3, relu=False, stddev=OUTPUT_STDDEV, name="refiner_logits")(mask)
    return tf.cast(logits[..., 0], tf.float32)


def inside_box(logits: tf.Tensor, size: int) -> tf.Tensor:
    """Crop window logits [N, m, m] to their boxes: probabilities [N, size, size]."""
    count, side = tf.shape(logits)[0], logits.shape[1]
    border = 0.5 * side * (1.0 - 1.0 / MARGIN)
    box = tf.constant([border, border, side - border, side - border], tf.float32)
    boxes = tf.tile(box[None], [count, 1])
    return roi_align.crop(tf.sigmoid(logits)[..., None], boxes, tf.range(count), size)[..., 0]
