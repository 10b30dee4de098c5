"""Augmentation of training clips: mirroring, zoom and shift, brightness and contrast."""

from __future__ import annotations

import tensorflow as tf

from a2d_tf.ops import canvas as canvas_ops


def warp(
    rgb: tf.Tensor,
    flow: tf.Tensor,
    boxes: tf.Tensor,
    masks: tf.Tensor,
    *,
    window: tf.Tensor,
    flip: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Crop a window of a clip, resize it to the frame's size and mirror it.

    A point at pixel (y, x) moves to ((y - y0) / s, (x - x0) / s), s = window size / frame size, and
    then, if mirrored, to (y', W - x'). Flow vectors are divided by s, and mirroring negates u.
    Outside of the frame all is zero.

    Args:
      rgb: [T, H, W, 3], 0..255.
      flow: float32 [T, H, W, 2].
      boxes: [N, 4].
      masks: 0/1 [N, H, W].
      window: float32 [4] y0, x0, height, width in pixels, inside the frame or around it.
      flip: bool scalar.

    Returns:
      the four, of the same shapes, RGB and masks uint8; boxes are not clipped.
    """
    size = tf.cast(tf.shape(rgb)[1:3], tf.float32)
    origin, step = window[:2], window[2:] / size
    # crop_and_resize is corner-aligned and reads zeros outside. This samples at the centres of the
    # new pixels, in frames padded by their edge (cf. ops/roi_align).
    first = (origin + 0.5 * step + 0.5) / (size + 1.0)
    last = first + step * (size - 1.0) / (size + 1.0)
    # Mirroring reads from right to left: reversing the result would take twice as long.
    left, right = tf.where(flip, last[1], first[1]), tf.where(flip, first[1], last[1])
    box = tf.stack([first[0], left, last[0], right])[None]

    def resample(images):
        images = tf.cast(images, tf.float32)
        images = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        count = tf.shape(images)[0]
        return tf.image.crop_and_resize(
            images, tf.tile(box, [count, 1]), tf.range(count), tf.shape(rgb)[1:3]
        )

    factor = tf.stack([tf.where(flip, -1.0, 1.0), 1.0]) / step[::-1]
    rgb = tf.cast(tf.clip_by_value(tf.round(resample(rgb)), 0.0, 255.0), tf.uint8)
    flow = canvas_ops.scale_vectors(resample(flow), factor)
    masks = tf.cast(resample(masks[..., None])[..., 0] >= 0.5, tf.uint8)
    boxes = (boxes - tf.tile(origin, [2])) / tf.tile(step, [2])
    y1, x1, y2, x2 = tf.unstack(boxes, axis=1)
    x1, x2 = tf.where(flip, size[1] - x2, x1), tf.where(flip, size[1] - x1, x2)
    return rgb, flow, tf.stack([y1, x1, y2, x2], axis=1), masks


def _random_window(size, jitter, seed):
    """Draw a window of the frame's aspect, smaller or larger by up to `jitter`."""
    draw = tf.random.stateless_uniform([3], seed)
    size = tf.cast(size, tf.float32)
    extent = size * (1.0 + jitter * (2.0 * draw[0] - 1.0))
    return tf.concat([(size - extent) * draw[1:], extent], axis=0)


def augment(
    example: dict[str, tf.Tensor],
    seed: tf.Tensor,
    *,
    flip: bool,
    scale_jitter: float,
    colour_jitter: float,
) -> dict[str, tf.Tensor]:
    """Mirror, zoom and shift a clip and change its brightness and contrast, alike in all frames.

    Outside of the frame all is zero, like padding. An instance is dropped if less than a tenth of
    its box, fewer than two pixels of a side or none of its mask remain.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)
    size = tf.shape(example["rgb"])[1:3]
    mirrored = tf.random.stateless_uniform([], seeds[0]) < (0.5 if flip else 0.0)
    draw = tf.random.stateless_uniform([2], seeds[2], -colour_jitter, colour_jitter)
    # Before the warp, whose zeros outside of the frame must stay zero.
    rgb = tf.cast(example["rgb"], tf.float32) * (1.0 + draw[0]) + 128.0 * draw[1]
    rgb, flow, boxes, masks = warp(
        tf.clip_by_value(rgb, 0.0, 255.0),
        example["flow"],
        example["boxes"],
        example["masks"],
        window=_random_window(size, scale_jitter, seeds[1]),
        flip=mirrored,
    )
    limit = tf.cast(tf.tile(size, [2]), tf.float32)
    clipped = tf.clip_by_value(boxes, 0.0, limit)
    old, new = boxes[:, 2:] - boxes[:, :2], clipped[:, 2:] - clipped[:, :2]
    kept = (tf.reduce_min(new, 1) >= 2.0) & (tf.reduce_prod(new, 1) >= 0.1 * tf.reduce_prod(old, 1))
    kept &= tf.reduce_any(masks > 0, axis=[1, 2])
    return dict(
        example,
        rgb=rgb,
        flow=flow,
        boxes=tf.boolean_mask(clipped, kept),
        masks=tf.boolean_mask(masks, kept),
        codes=tf.boolean_mask(example["codes"], kept),
    )
