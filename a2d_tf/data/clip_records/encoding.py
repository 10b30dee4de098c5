"""Serialise a clip as a record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from pycocotools import mask as rle_tools

from a2d_tf.data.clip_record import ClipRecord
from a2d_tf.data.clip_records.quantisation import quantise, quantise_channels
from a2d_tf.data.preparation.resizing import resize_frame

JPEG_QUALITY = 95
FLOW_QUALITY = 100


def encode(record: ClipRecord) -> bytes:
    """Serialise a record as a tf.train.Example, as shards hold it.

    Frames and flow become JPEGs, masks and motion maps PNGs. Equal records have equal
    bytes. docs/data_format.md lists the features.

    Args:
      record: the clip, its key frame's ground truth and its motion maps.
    """
    annotation = record.annotation
    native_height, native_width = annotation.label_map.shape
    height, width = record.rgb[0].shape[:2]
    rgb_jpegs = []
    for frame in record.rgb:
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        rgb_jpegs.append(_jpeg(bgr, JPEG_QUALITY))
    flow_jpegs = []
    flow_scales = []
    for flow in record.flow:
        pixels, scale = quantise(flow)
        flow_jpegs.append(_jpeg(pixels, FLOW_QUALITY))
        flow_scales.append(scale)
    masks_png = b""
    if len(annotation.masks):
        small = [resize_mask(mask, height, width) for mask in annotation.masks]
        masks_png = _png(np.concatenate(small).astype(np.uint8) * 255)
    columns = np.asfortranarray(annotation.masks.transpose(1, 2, 0).astype(np.uint8))
    features = {
        "video": _bytes([record.video.encode()]),
        "split": _bytes([record.split.encode()]),
        "native_height": _ints([native_height]),
        "native_width": _ints([native_width]),
        "height": _ints([height]),
        "width": _ints([width]),
        "frame": _ints([record.frame]),
        "clip_frames": _ints(record.clip_frames),
        "rgb": _bytes(rgb_jpegs),
        "flow": _bytes(flow_jpegs),
        "flow_scale": _floats(flow_scales),
        "boxes": _floats(annotation.boxes.ravel()),
        "codes": _ints(annotation.codes),
        "masks": _bytes([masks_png]),
        "label_map": _bytes([_png(annotation.label_map)]),
        "mask_rle": _bytes([rle["counts"] for rle in rle_tools.encode(columns)]),
    }
    if not annotation.has_mask.all():
        features["has_mask"] = _ints(annotation.has_mask)
    if annotation.tracks is not None:
        features["track"] = _ints(annotation.tracks)
    for name, motion_map in record.motion.items():
        pixels, scales = quantise_channels(motion_map)
        features[name] = _bytes([_motion_png(pixels)])
        features[f"{name}_scale"] = _floats(scales)
    for name, values in annotation.fields.items():
        if np.issubdtype(values.dtype, np.floating):
            features[name] = _floats(values.ravel())
        else:
            features[name] = _ints(values.ravel())
    example = tf.train.Example(features=tf.train.Features(feature=features))
    # Protocol buffers do not order maps; `deterministic` makes equal records equal in
    # their bytes.
    return example.SerializeToString(deterministic=True)


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Shrink or enlarge a mask: a pixel is set if at least half of it is covered.

    A mask too thin for that keeps its best-covered pixels, so that no instance
    vanishes.

    Args:
      mask: bool [H, W].
      height, width: the new size, pixels.

    Returns:
      bool [height, width].
    """
    cover = resize_frame(mask.astype(np.float32), height, width)
    return (cover >= min(0.5, cover.max())) & (cover > 0)


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    """Encode an image uint8 as a JPEG of a quality from 0 to 100."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _motion_png(pixels: np.ndarray) -> bytes:
    # The cells of a channel lie far apart, so that a filter and a search for repetition
    # find nothing.
    """Encode the pixels of a motion map as a PNG, fast and without filters."""
    strategy = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1, *strategy])
    return data.tobytes()


def _png(image: np.ndarray) -> bytes:
    """Encode an image uint8 or uint16 as a PNG."""
    _, data = cv2.imencode(".png", image)
    return data.tobytes()


def _bytes(values: Iterable[bytes]) -> tf.train.Feature:
    """Return the feature of a list of byte strings."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values: Any) -> tf.train.Feature:
    """Return the feature of a list or array [N] of integers or booleans."""
    values = np.asarray(values, np.int64)  # protobuf takes no booleans of NumPy 2
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: Any) -> tf.train.Feature:
    """Return the feature of a list or array [N] of floats."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
