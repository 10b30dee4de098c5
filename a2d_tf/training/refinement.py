"""Train the refiner on instance masks inside jittered boxes (paper, 4.3, w/o Mask + SM).

The refiner is trained without the detector; the jitter stands for the error of its boxes.
"""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.core.config import LearningConfig
from a2d_tf.model import refiner
from a2d_tf.model.network import Network
from a2d_tf.ops import masks as mask_ops
from a2d_tf.training import losses, targets

# As in SharpMask's training: shifts up to 16 of the object's 128 pixels, scales within 2^(1/4).
_SHIFT = 16 / 128
_LOG2_SCALE = 0.25


def jitter(boxes: tf.Tensor, rng: targets.Rng) -> tf.Tensor:
    """Shift boxes [B, R, 4] by up to 1/8 of their sides and scale them by up to 2^(1/4), per axis.

    Boxes are (y1, x1, y2, x2).
    """
    size = boxes[..., 2:] - boxes[..., :2]
    draw = rng.uniform([*size.shape[1:], 2], -1.0, 1.0)
    centre = boxes[..., :2] + size * (0.5 + _SHIFT * draw[..., 0])
    half = 0.5 * size * tf.pow(2.0, _LOG2_SCALE * draw[..., 1])
    return tf.concat([centre - half, centre + half], axis=-1)


def forward(
    network: Network, batch: dict, seed: tf.Tensor, learning: LearningConfig, *, training: bool
) -> tuple[dict, dict]:
    """Compute the mask term of a batch; arguments and results are those of `forward.forward`.

    A frame has as many rows as the mask head in training, each an instance drawn with replacement.
    """
    match_rng, jitter_rng = targets.Rng(seed, batch["row"], learning.batch_size).split(2)
    count = tf.reduce_sum(tf.cast(batch["present"], tf.int32), axis=1, keepdims=True)
    rows = targets.most_positives(learning)
    # The instances that are present come first.
    match = tf.cast(match_rng.uniform([rows]) * tf.cast(count, tf.float32), tf.int32)
    boxes = jitter(tf.gather(batch["boxes"], match, batch_dims=1), jitter_rng)
    rgb = batch["rgb"][:, batch["rgb"].shape[1] // 2]
    logits = network.refiner({"rgb": rgb, "rois": boxes}, training=training)
    truth = mask_ops.crop_targets(batch["masks"], refiner.windows(boxes), match, logits.shape[2])
    valid = tf.repeat(batch["annotated"][:, None] & (count > 0), rows, axis=1)
    class_index = tf.zeros_like(match)
    return {"mask": [losses.mask(logits[..., None], truth, class_index, valid)]}, {}
