"""Parse records for training, inside a TensorFlow graph."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf

from a2d_tf.data.clip_records.quantisation import dequantise, dequantise_channels
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops.motion_maps import MAPS


def parse_video(serialized: tf.Tensor) -> tf.Tensor:
    """Read the name of a record's video inside a TensorFlow graph; decode nothing else.

    Args:
      serialized: string scalar, one record.

    Returns:
      string scalar.
    """
    features = {"video": tf.io.FixedLenFeature((), tf.string)}
    return tf.io.parse_single_example(serialized, features)["video"]


def parse(serialized: tf.Tensor, frames: int | None = None) -> dict[str, tf.Tensor]:
    """Decode a record for training, inside a TensorFlow graph.

    T frames of h x w pixels and N instances are dynamic, and N may be 0.

    Args:
      serialized: string scalar, one record.
      frames: number of clip frames to decode, those in the middle; by default all.

    Returns:
      a dict of these fields:
      rgb: uint8 [T, h, w, 3].
      flow: float32 [T, h, w, 2], (u, v) in pixels of the stored frames, the motion
        since the previous frame of the video.
      boxes: float32 [N, 4], y1, x1, y2, x2 in pixels *of the stored frames*.
      codes: int32 [N], the number of each instance's actor-action pair, see
        `LabelSpace`.
      masks: uint8 0/1 [N, h, w].
      has_mask: bool [N]; False if the mask is unknown, and then all its pixels are 0.
      video: string scalar, name of the video.
      frame: int32 scalar, number of the key frame in the video, from 1.
      native_size: int32 [2], height and width of the video.
      and each of `instance_fields.FIELDS`, [N, ...], in pixels of the stored frames.
    """
    stored = tf.io.parse_single_example(serialized, _features())
    if frames is not None:
        first = tf.shape(stored["rgb"])[0] // 2 - frames // 2
        for name in ("rgb", "flow", "flow_scale"):
            stored[name] = stored[name][first : first + frames]
    size = tf.stack([stored["height"], stored["width"]])
    size = tf.cast(size, tf.int32)
    native_size = tf.stack([stored["native_height"], stored["native_width"]])
    native_size = tf.cast(native_size, tf.int32)
    ratio = tf.cast(size, tf.float32) / tf.cast(native_size, tf.float32)
    height, width = tf.unstack(size)
    count = tf.size(stored["codes"])

    rgb = canvas_ops.decode_jpegs(stored["rgb"], channels=3)
    flow = canvas_ops.decode_jpegs(stored["flow"], channels=1)
    flow = dequantise(tf.reshape(flow, [-1, 2 * height, width]), stored["flow_scale"])
    has_mask = _stored_or(stored["has_mask"], tf.ones_like(stored["codes"])) > 0
    clip = {
        "rgb": tf.ensure_shape(rgb, [None, None, None, 3]),
        "flow": tf.ensure_shape(flow, [None, None, None, 2]),
        "boxes": stored["boxes"] * tf.tile(ratio, [2]),
        "codes": tf.cast(stored["codes"], tf.int32),
        "masks": _decode_masks(stored["masks"], count, height, width),
        "has_mask": has_mask,
        "video": stored["video"],
        "frame": tf.cast(stored["frame"], tf.int32),
        "native_size": native_size,
    }
    for field in FIELDS:
        missing = tf.fill([count, *field.shape], field.dtype(field.missing))
        values = tf.cast(stored[field.name], missing.dtype)
        clip[field.name] = field.scaled(_stored_or(values, missing), ratio)
    return clip


def parse_motion_maps(
    serialized: tf.Tensor, names: Collection[str]
) -> dict[str, tf.Tensor]:
    """Decode motion maps of a record, inside a TensorFlow graph.

    Args:
      serialized: string scalar, one record, which must have these maps.
      names: names of the maps, at least one of `motion_maps.MAPS`.

    Returns:
      a dict of each map by its name, float32 [h, w, C], and of `motion_size`, int32
      [2]: height and width of the resized frames that the maps were made from.
    """
    features = {}
    for name in names:
        shape = (MAPS[name].channels,)
        features[name] = tf.io.FixedLenFeature((), tf.string)
        features[f"{name}_scale"] = tf.io.FixedLenFeature(shape, tf.float32)
    stored = tf.io.parse_single_example(serialized, features)
    clip = {}
    for name in names:
        pixels = tf.io.decode_png(stored[name], channels=1)
        clip[name] = dequantise_channels(pixels, stored[f"{name}_scale"])
        clip["motion_size"] = tf.shape(clip[name])[:2] * MAPS[name].stride
    return clip


def _features() -> dict[str, Any]:
    """Return the features that training needs, {name: how it is parsed}."""
    number = tf.io.FixedLenFeature((), tf.int64)
    text = tf.io.FixedLenFeature((), tf.string)
    features = {
        "native_height": number,
        "native_width": number,
        "height": number,
        "width": number,
        "frame": number,
        "video": text,
        "rgb": _list_of(tf.string),
        "flow": _list_of(tf.string),
        "flow_scale": _list_of(tf.float32),
        "boxes": _list_of(tf.float32, (4,)),
        "codes": _list_of(tf.int64),
        "masks": text,
        "has_mask": _list_of(tf.int64),
    }
    for field in FIELDS:
        dtype = tf.int64
        if np.issubdtype(field.dtype, np.floating):
            dtype = tf.float32
        features[field.name] = _list_of(dtype, field.shape)
    return features


def _list_of(
    dtype: tf.DType, shape: tuple[int, ...] = ()
) -> tf.io.FixedLenSequenceFeature:
    """Return how a list of any length is parsed; a missing one is empty."""
    return tf.io.FixedLenSequenceFeature(shape, dtype, allow_missing=True)


def _stored_or(values: tf.Tensor, default: tf.Tensor) -> tf.Tensor:
    """Return values of instances, [N, ...]; the default if the record has none."""
    is_stored = tf.shape(values)[0] > 0
    return tf.cond(is_stored, lambda: values, lambda: default)


def _decode_masks(
    image: tf.Tensor, count: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Decode the PNG of stacked masks to uint8 0/1 [count, height, width]."""

    def decode() -> tf.Tensor:
        return tf.cast(tf.io.decode_png(image, channels=1) > 127, tf.uint8)

    masks = tf.cond(count > 0, decode, lambda: tf.zeros([0, 0, 1], tf.uint8))
    return tf.reshape(masks, [count, height, width])
