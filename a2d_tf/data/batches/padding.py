"""Resize and pad clips to the network's canvas, so that they can form batches."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.ops import canvas as canvas_ops


def resize(
    example: dict[str, tf.Tensor], canvas: tuple[int, int]
) -> dict[str, tf.Tensor]:
    """Resize a clip to the largest size that fits the canvas, without padding it.

    Args:
      example: a clip as `clip_records.parse` returns it, {field: tensor}.
      canvas: (height, width) of the network's input, pixels.

    Returns:
      the clip; its frames, flow, masks, boxes and points are in pixels of the new size.
    """
    rgb, flow, size = canvas_ops.place(example["rgb"], example["flow"], canvas)
    old_size = tf.shape(example["rgb"])[1:3]
    ratio = tf.cast(size, tf.float32) / tf.cast(old_size, tf.float32)

    def resample_masks() -> tf.Tensor:
        masks = canvas_ops.resize(example["masks"][..., None], size)[..., 0]
        return tf.cast(masks >= 0.5, tf.uint8)

    masks = tf.cond(
        tf.reduce_all(old_size == size), lambda: example["masks"], resample_masks
    )
    resized = dict(
        example,
        rgb=rgb[:, : size[0], : size[1]],
        flow=flow[:, : size[0], : size[1]],
        masks=masks,
        boxes=example["boxes"] * tf.tile(ratio, [2]),
    )
    for field in FIELDS:
        resized[field.name] = field.scaled(example[field.name], ratio)
    return resized


def pad(
    example: dict[str, tf.Tensor],
    *,
    canvas: tuple[int, int],
    frames: int,
    max_instances: int,
    base: int,
) -> dict[str, tf.Tensor]:
    """Give a clip static shapes, so that clips can form a batch.

    Frames are padded with zeros below and at the right to the canvas. Instances are
    sorted by the area of their boxes, the largest first, and padded to `max_instances`.

    Args:
      example: a clip as `resize` returns it, with the field `annotated`, a bool.
      canvas: (height, width) of the network's input, pixels.
      frames: T, the number of frames of the clip.
      max_instances: number of instances after padding; if there are more, the smallest
        ones are left out.
      base: number by which a code, the number of a pair, is divided: the quotient is
        the actor plus 1, the remainder is the action plus 1. See `LabelSpace`.

    Returns:
      the fields of `pipeline.CLIP` except `row`. `size` is the (height, width) of the
      frames without padding. `actors` and `actions`, int32 [max_instances], count from
      0. `present`, bool [max_instances], is False for padding.
    """
    height, width = canvas
    size = tf.shape(example["rgb"])[1:3]
    sides = example["boxes"][:, 2:] - example["boxes"][:, :2]
    areas = tf.reduce_prod(sides, axis=1)
    order = tf.argsort(areas, direction="DESCENDING", stable=True)[:max_instances]
    count = tf.shape(order)[0]
    below = [0, height - size[0]]
    right = [0, width - size[1]]
    empty_rows = [0, max_instances - count]

    def pad_frames(name: str, channels: int) -> tf.Tensor:
        padded = tf.pad(example[name], [[0, 0], below, right, [0, 0]])
        return tf.ensure_shape(padded, [frames, height, width, channels])

    def pad_rows(name: str, shape: Sequence[int] = ()) -> tf.Tensor:
        rows = tf.gather(example[name], order)
        padded = tf.pad(rows, [empty_rows] + [[0, 0] for _ in shape])
        return tf.ensure_shape(padded, [max_instances, *shape])

    masks = tf.pad(tf.gather(example["masks"], order), [empty_rows, below, right])
    codes = pad_rows("codes")
    padded = {
        "rgb": pad_frames("rgb", 3),
        "flow": pad_frames("flow", 2),
        "size": size,
        "boxes": pad_rows("boxes", [4]),
        "masks": tf.ensure_shape(masks, [max_instances, height, width]),
        "has_mask": pad_rows("has_mask"),
        "actors": codes // base - 1,
        "actions": codes % base - 1,
        "present": tf.sequence_mask(count, max_instances),
        "annotated": example["annotated"],
        "native_size": example["native_size"],
        "video": example["video"],
        "frame": example["frame"],
    }
    for field in FIELDS:
        padded[field.name] = pad_rows(field.name, field.shape)
    return padded
