"""The record format: clips as tf.train.Examples, written and parsed here alone.

A record is one annotated *key frame* and the clip of T frames centred on it. Frames and
flow are stored at the training size, the ground truth also at the native size, at which
it is scored.

docs/data_format.md lists the features.

Flow is quantised to 8 bits over each frame's own range, pixel = round(127 + 127 * value
/ range), with an error of at most range / 254. The JPEG changes few pixels by one
level, one in a million by two, and leaves 8x8 blocks without motion unchanged; it
decodes in a third of the time of a PNG. The magnitude is computed, never stored.

A motion map is quantised to 8 bits over the range of each channel.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.data.clips import ClipRecord
from a2d_tf.data.flow import quantise
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.resizing import resize_frame
from a2d_tf.ops import canvas as canvas_ops
from a2d_tf.ops.motion_maps import MAPS

JPEG_QUALITY = 95
FLOW_QUALITY = 100


def _features():
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


def _list_of(dtype, shape=()):
    return tf.io.FixedLenSequenceFeature(shape, dtype, allow_missing=True)


@dataclasses.dataclass(frozen=True)
class ClipTruth:
    """The ground truth of a record, at the native size.

    Attributes:
      video: the VID.
      frame: 1-based number of the key frame.
      split: 'train' or 'test'.
      clip_frames: int [T], source frames, 1-based.
      native_size: (height, width) of the video.
      size: (height, width) of the stored frames.
      boxes, codes, tracks: as of `a2d_annotations.Annotation`.
      rles: N COCO RLEs, {'size': [height, width], 'counts': bytes}.
      label_map: codes [height, width], uint8 or uint16; see `is_complete`.
      has_mask: bool [N], False where only the box is known: the mask is empty then.
      fields: {name of `instance_fields.FIELDS`: [N, ...]}.
    """

    video: str
    frame: int
    split: str
    clip_frames: np.ndarray
    native_size: tuple[int, int]
    size: tuple[int, int]
    boxes: np.ndarray
    codes: np.ndarray
    rles: list[dict]
    label_map: np.ndarray
    has_mask: np.ndarray
    tracks: np.ndarray | None = None
    fields: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether the label map shows all instances: each of them has a mask."""
        return bool(self.has_mask.all())

    @property
    def name(self) -> str:
        """The key frame's name, `<VID>/<%05d>`."""
        return f"{self.video}/{self.frame:05d}"


def encode(record: ClipRecord) -> bytes:
    """Serialise a record as a tf.train.Example."""
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
        pixels, scales = _quantise_channels(motion_map)
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


def _quantise_channels(motion_map):
    """Quantise a motion map float32 [h, w, C], none below 0, to 8 bits.

    Returns:
      (uint8 [h, w * C], the largest value of each channel). A value is pixel * largest
      / 255.
    """
    height, width, channels = motion_map.shape
    scales = motion_map.max(axis=(0, 1))
    gains = 255 / np.maximum(scales, 1e-30)
    pixels = np.rint(motion_map * gains).astype(np.uint8)
    return pixels.reshape(height, width * channels), scales


def dequantise(pixels: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Invert `quantise`.

    Args:
      pixels: uint8 [T, 2 * h, w], u over v.
      scale: float32 [T], the range of each frame, pixels.

    Returns:
      flow float32 [T, h, w, 2].
    """
    count, rows, width = tf.unstack(tf.shape(pixels))
    # TensorFlow transposes floats twenty times as fast as bytes.
    flow = tf.cast(tf.reshape(pixels, [count, 2, rows // 2, width]), tf.float32)
    flow = (flow - 127.0) * (scale[:, None, None, None] / 127.0)
    return tf.transpose(flow, [0, 2, 3, 1])


def parse_video(serialized: tf.Tensor) -> tf.Tensor:
    """Return the VID of a record, a string scalar, and decode nothing else."""
    features = {"video": tf.io.FixedLenFeature((), tf.string)}
    return tf.io.parse_single_example(serialized, features)["video"]


def parse(serialized: tf.Tensor, frames: int | None = None) -> dict[str, tf.Tensor]:
    """Decode a record for training, inside a TensorFlow graph.

    T, h, w and N are dynamic, and N may be 0.

    Args:
      serialized: string scalar, one record.
      frames: number of clip frames to decode, those in the middle; by default all.

    Returns:
      rgb: uint8 [T, h, w, 3].
      flow: float32 [T, h, w, 2], (u, v) in pixels.
      boxes: float32 [N, 4], y1, x1, y2, x2 in pixels *of the stored frames*.
      codes: int32 [N].
      masks: uint8 0/1 [N, h, w].
      has_mask: bool [N], False where the mask is unknown, and zero.
      video: string.
      frame: int32, 1-based number of the key frame.
      native_size: int32 [2], height and width of the video.
      and each of `instance_fields.FIELDS`, [N, ...].
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
    # Records without `has_mask` have a mask for each instance.
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
        # Records of sources without this field lack it.
        missing = tf.fill([count, *field.shape], field.dtype(field.missing))
        values = tf.cast(stored[field.name], missing.dtype)
        clip[field.name] = field.scaled(_stored_or(values, missing), ratio)
    return clip


def parse_motion_maps(
    serialized: tf.Tensor, names: Collection[str]
) -> dict[str, tf.Tensor]:
    """Decode motion maps of a record, inside a TensorFlow graph.

    Args:
      serialized: string scalar, one record.
      names: of the maps, at least one, which the record must have.

    Returns:
      each of the maps, float32 [h, w, C].
      motion_size: int32 [2], height and width of the motion frame.
    """
    features = {}
    for name in names:
        shape = (MAPS[name].channels,)
        features[name] = tf.io.FixedLenFeature((), tf.string)
        features[f"{name}_scale"] = tf.io.FixedLenFeature(shape, tf.float32)
    stored = tf.io.parse_single_example(serialized, features)
    found = {}
    for name in names:
        kind = MAPS[name]
        scales = stored[f"{name}_scale"]
        found[name] = _decode_motion_map(stored[name], scales, kind.channels)
        found["motion_size"] = tf.shape(found[name])[:2] * kind.stride
    return found


def _decode_motion_map(image, scales, channels):
    """Decode the PNG of a motion map and the ranges of its channels."""
    pixels = tf.cast(tf.io.decode_png(image, channels=1), tf.float32)
    motion_map = tf.reshape(pixels, [tf.shape(pixels)[0], -1, channels])
    return motion_map * scales / 255.0


def _stored_or(values, default):
    """Return values of instances, [N, ...]; the default if the record has none."""
    is_stored = tf.shape(values)[0] > 0
    return tf.cond(is_stored, lambda: values, lambda: default)


def _decode_masks(image, count, height, width):
    """Decode the PNG of stacked masks to uint8 0/1 [count, height, width]."""

    def decode() -> tf.Tensor:
        return tf.cast(tf.io.decode_png(image, channels=1) > 127, tf.uint8)

    masks = tf.cond(count > 0, decode, lambda: tf.zeros([0, 0, 1], tf.uint8))
    return tf.reshape(masks, [count, height, width])


def read_truth(serialized: bytes) -> ClipTruth:
    """Return the ground truth of a record, exactly as annotated.

    Raises:
      InputError: the bytes are no record, or a feature is missing or does not fit the
        others.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
        truth = _truth_of(features)
    except (DecodeError, IndexError, ValueError, cv2.error) as error:
        raise _not_a_record() from error
    if not is_file_name(truth.video):  # it becomes part of paths
        raise InputError(f"'video' {quoted(truth.video)} is not a valid file name")
    return truth


class StoredBoxes(NamedTuple):
    """The boxes of a record.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2 in native pixels.
      native_size: (height, width) of the video.
    """

    boxes: np.ndarray
    native_size: tuple[int, int]

    def scaled(self, size: np.ndarray) -> np.ndarray:
        """Return the boxes in pixels of frames of this (height, width)."""
        return self.boxes * np.tile(size / np.array(self.native_size), 2)


def read_boxes(serialized: bytes) -> StoredBoxes:
    """Return the boxes of a record, and decode nothing else.

    Raises:
      InputError: as of `read_truth`.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
        height = features["native_height"].int64_list.value[0]
        width = features["native_width"].int64_list.value[0]
        return StoredBoxes(_boxes_of(features), (height, width))
    except (DecodeError, IndexError, ValueError) as error:
        raise _not_a_record() from error


def _not_a_record():
    return InputError("not a clip record, or a field is missing")


def _boxes_of(features):
    """Return the boxes of a tf.train.Example's features."""
    return np.array(features["boxes"].float_list.value, np.float32).reshape(-1, 4)


def _truth_of(features):
    """Return the ClipTruth of a tf.train.Example's features; IndexError without one."""

    def number(name: str) -> int:
        return features[name].int64_list.value[0]

    def value(name: str) -> bytes:
        return features[name].bytes_list.value[0]

    height = number("native_height")
    width = number("native_width")
    boxes = _boxes_of(features)
    codes = np.array(features["codes"].int64_list.value, np.int64).astype(np.int32)
    rles = []
    for counts in features["mask_rle"].bytes_list.value:
        rles.append({"size": [height, width], "counts": counts})
    label_map_png = np.frombuffer(value("label_map"), np.uint8)
    # Records without `has_mask` have a mask for each instance.
    has_mask = np.ones(len(codes), bool)
    if features["has_mask"].int64_list.value:
        has_mask = np.array(features["has_mask"].int64_list.value, bool)
    tracks = None
    if "track" in features:  # indexing would add it
        tracks = np.array(features["track"].int64_list.value, np.int64)
    fields = {}
    for field in FIELDS:
        feature = features[field.name]
        values = feature.float_list.value or feature.int64_list.value
        if values:
            values = np.array(values, field.dtype).reshape(len(codes), *field.shape)
        else:
            values = field.all_missing(len(codes))
        fields[field.name] = values
    return ClipTruth(
        video=value("video").decode(),
        frame=number("frame"),
        split=value("split").decode(),
        clip_frames=np.array(features["clip_frames"].int64_list.value),
        native_size=(height, width),
        size=(number("height"), number("width")),
        boxes=boxes,
        codes=codes,
        rles=rles,
        label_map=cv2.imdecode(label_map_png, cv2.IMREAD_UNCHANGED),
        has_mask=has_mask,
        tracks=tracks,
        fields=fields,
    )


def read_shard(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the serialised records of a shard.

    Raises:
      InputError: the shard is missing or damaged.
    """
    with naming(path):
        yield from tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator()


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Reraise errors of reading records as an InputError that names the shard.

    `path` is the shard, or the folder of the records: then the damaged shard in it is
    searched and named.
    """
    try:
        yield
    except (InputError, tf.errors.OpError) as error:
        if isinstance(error, tf.errors.ResourceExhaustedError):
            raise  # the records are not at fault
        if isinstance(error, tf.errors.DataLossError) and os.path.isdir(path):
            _read_all(path)
        if isinstance(error, InputError):
            problem = str(error)
        else:  # TensorFlow's messages go on for lines about its graph.
            problem = type(error).__name__
        raise InputError(
            f"{path}: corrupt records ({problem}); rebuild them"
        ) from error


def _read_all(folder):
    """Read all shards of a folder; the InputError of the first damaged one names it."""
    for shard in sorted(pathlib.Path(folder).glob("*.tfrecord")):
        for _ in read_shard(shard):
            pass


def write_shard(path: str | os.PathLike, records: Iterable[bytes]) -> None:
    """Write serialised records to a TFRecord file.

    Raises:
      InputError: the file cannot be written.
    """
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
    except tf.errors.OpError as error:
        raise InputError(f"{path}: cannot be written ({error.message})") from error


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a mask bool [H, W]: a pixel is set if at least half of it is covered.

    A mask too thin for that keeps its best-covered pixel, so that no instance vanishes.
    """
    cover = resize_frame(mask.astype(np.float32), height, width)
    return (cover >= min(0.5, cover.max())) & (cover > 0)


def _jpeg(image, quality):
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _motion_png(pixels):
    # The cells of a channel lie far apart, so that a filter and a search for repetition
    # find nothing.
    strategy = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1, *strategy])
    return data.tobytes()


def _png(image):
    _, data = cv2.imencode(".png", image)
    return data.tobytes()


def _bytes(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values):
    values = np.asarray(values, np.int64)  # protobuf takes no booleans of NumPy 2
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
