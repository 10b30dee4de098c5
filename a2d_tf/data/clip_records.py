"""The record format: clips as tf.train.Examples, written and parsed here alone.

A record is one annotated *key frame* and the clip of T frames centred on it. Frames and
flow are stored at the training size, the ground truth also at the native size, at which
it is scored.

docs/data_format.md lists the features.

Flow is quantised to 8 bits over each frame's own range, pixel = round(127 + 127 * value
/ range), with an error of at most range / 254. The JPEG changes few pixels by one
level, one in a million by two, and leaves 8x8 blocks without motion unchanged; it
decodes in a third of the time of a PNG. The magnitude is computed, never stored.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from pycocotools import mask as rle_tools

from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.data.flow import quantise, resize_frame
from a2d_tf.data.instance_fields import FIELDS
from a2d_tf.data.sources import ClipRecord
from a2d_tf.ops import canvas as canvas_ops

JPEG_QUALITY = 95
FLOW_QUALITY = 100


def _many(dtype, shape=()):
    return tf.io.FixedLenSequenceFeature(shape, dtype, allow_missing=True)


_NUMBERS = ("native_height", "native_width", "height", "width", "frame")
_FEATURES = {
    **dict.fromkeys(_NUMBERS, tf.io.FixedLenFeature((), tf.int64)),
    "video": tf.io.FixedLenFeature((), tf.string),
    "rgb": _many(tf.string),
    "flow": _many(tf.string),
    "flow_scale": _many(tf.float32),
    "boxes": _many(tf.float32, (4,)),
    "codes": _many(tf.int64),
    "masks": tf.io.FixedLenFeature((), tf.string),
    "has_mask": _many(tf.int64),
    **{field.name: _many(tf.float32, field.shape) for field in FIELDS},
}
"""The features that training needs."""


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
      has_mask: bool [N], False for instances of which only the box is known: their mask
        is empty.
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
    size = record.rgb[0].shape[:2]
    numbers = (*annotation.label_map.shape, *size, record.frame)
    rgb = (cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in record.rgb)
    flow, scales = zip(*map(quantise, record.flow))
    columns = np.asfortranarray(annotation.masks.transpose(1, 2, 0).astype(np.uint8))
    small = [resize_mask(mask, *size) for mask in annotation.masks]
    features = {
        "video": _bytes(record.video.encode()),
        "split": _bytes(record.split.encode()),
        **{name: _ints([number]) for name, number in zip(_NUMBERS, numbers)},
        "clip_frames": _ints(record.clip_frames),
        "rgb": _bytes(*(_jpeg(frame, JPEG_QUALITY) for frame in rgb)),
        "flow": _bytes(*(_jpeg(pixels, FLOW_QUALITY) for pixels in flow)),
        "flow_scale": _floats(scales),
        "boxes": _floats(annotation.boxes.ravel()),
        "codes": _ints(annotation.codes),
        "masks": _bytes(
            _png(np.concatenate(small).astype(np.uint8) * 255) if small else b""
        ),
        "label_map": _bytes(_png(annotation.label_map)),
        "mask_rle": _bytes(*(rle["counts"] for rle in rle_tools.encode(columns))),
    }
    if not annotation.has_mask.all():
        features["has_mask"] = _ints(annotation.has_mask)
    if annotation.tracks is not None:
        features["track"] = _ints(annotation.tracks)
    features |= {
        name: _floats(values.ravel()) for name, values in annotation.fields.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    # Protocol buffers' maps are unordered; this makes equal records equal in their
    # bytes.
    return example.SerializeToString(deterministic=True)


def dequantise(pixels: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Invert `quantise`: uint8 [T, 2 * h, w] and ranges [T] -> flow float32 [T, h,
    w, 2].
    """
    count, rows, width = tf.unstack(tf.shape(pixels))
    # TensorFlow transposes floats twenty times as fast as bytes.
    flow = tf.cast(tf.reshape(pixels, [count, 2, rows // 2, width]), tf.float32)
    return tf.transpose(
        (flow - 127.0) * (scale[:, None, None, None] / 127.0), [0, 2, 3, 1]
    )


def parse_video(serialized: tf.Tensor) -> tf.Tensor:
    """Return the VID of a record, a string scalar, and decode nothing else."""
    return tf.io.parse_single_example(serialized, {"video": _FEATURES["video"]})[
        "video"
    ]


def parse(serialized: tf.Tensor, frames: int | None = None) -> dict[str, tf.Tensor]:
    """Decode a record for training, inside a TensorFlow graph.

    Args:
      serialized: string scalar, one record.
      frames: number of clip frames to decode, those in the middle; by default all.

    Returns:
      `rgb` uint8 [T, h, w, 3]; `flow` float32 [T, h, w, 2], (u, v) in pixels; `boxes`
      float32 [N, 4], y1, x1, y2, x2 in pixels *of the stored frames*; `codes` int32
      [N]; `masks` uint8 0/1 [N, h, w]; `has_mask` bool [N], False where the mask is
      unknown and zero; `video` string; `frame` int32, 1-based; `native_size` int32 [2],
      height and width of the video; each of `instance_fields.FIELDS`, [N, ...]. T, h, w
      and N are dynamic, and N may be 0.
    """
    fields = tf.io.parse_single_example(serialized, _FEATURES)
    if frames is not None:
        first = tf.shape(fields["rgb"])[0] // 2 - frames // 2
        for name in ("rgb", "flow", "flow_scale"):
            fields[name] = fields[name][first : first + frames]
    size, native_size = (
        tf.cast(tf.stack([fields[f"{kind}height"], fields[f"{kind}width"]]), tf.int32)
        for kind in ("", "native_")
    )
    rows, columns = tf.unstack(size)
    rgb = canvas_ops.decode_jpegs(fields["rgb"], channels=3)
    flow = canvas_ops.decode_jpegs(fields["flow"], channels=1)
    flow = dequantise(tf.reshape(flow, [-1, 2 * rows, columns]), fields["flow_scale"])
    scale = tf.cast(size, tf.float32) / tf.cast(native_size, tf.float32)
    # where the record does not say, all have masks
    ones = tf.ones_like(fields["codes"])
    more = {}
    for field in FIELDS:
        unknown = tf.fill([tf.size(ones), *field.shape], np.float32(np.nan))
        known = tf.concat([fields[field.name], unknown], 0)[: tf.size(ones)]
        more[field.name] = field.scaled(known, scale)
    return {
        "rgb": tf.ensure_shape(rgb, [None, None, None, 3]),
        "flow": tf.ensure_shape(flow, [None, None, None, 2]),
        "boxes": fields["boxes"] * tf.tile(scale, [2]),
        "codes": tf.cast(fields["codes"], tf.int32),
        "masks": _decode_masks(
            fields["masks"], tf.shape(fields["codes"])[0], rows, columns
        ),
        "has_mask": tf.concat([fields["has_mask"], ones], 0)[: tf.size(ones)] > 0,
        "video": fields["video"],
        "frame": tf.cast(fields["frame"], tf.int32),
        "native_size": native_size,
        **more,
    }


def _decode_masks(image, count, height, width):
    """Decode the PNG of stacked masks to uint8 0/1 [count, height, width]."""

    def decode() -> tf.Tensor:
        return tf.cast(tf.io.decode_png(image, channels=1) > 127, tf.uint8)

    masks = tf.cond(count > 0, decode, lambda: tf.zeros([0, 0, 1], tf.uint8))
    return tf.reshape(masks, [count, height, width])


def read_truth(serialized: bytes) -> ClipTruth:
    """Return the ground truth of a record, exactly as annotated.

    Raises:
      InputError: the bytes are no record, or a field is missing or does not fit the
        others.
    """
    try:
        feature = tf.train.Example.FromString(serialized).features.feature
        height, width, stored_height, stored_width, frame = (
            feature[name].int64_list.value[0] for name in _NUMBERS
        )
        video, split = (
            feature[name].bytes_list.value[0].decode() for name in ("video", "split")
        )
        png = feature["label_map"].bytes_list.value[0]
        boxes = np.array(feature["boxes"].float_list.value, np.float32).reshape(-1, 4)
        codes = np.array(feature["codes"].int64_list.value, np.int64)
        masks = feature["mask_rle"].bytes_list.value
        rles = [{"size": [height, width], "counts": counts} for counts in masks]
        label_map = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        fields = {}
        for field in FIELDS:
            shape = (len(codes), *field.shape)
            values = feature[field.name].float_list.value or np.full(shape, np.nan)
            fields[field.name] = np.array(values, np.float32).reshape(shape)
    except (DecodeError, IndexError, ValueError, cv2.error) as error:
        raise InputError("not a clip record, or a field is missing") from error
    if not is_file_name(video):  # it becomes part of paths
        raise InputError(f"'video' {quoted(video)} is not a valid file name")
    tracks = None
    if "track" in feature:  # indexing would add it
        tracks = np.array(feature["track"].int64_list.value, np.int64)
    return ClipTruth(
        video=video,
        frame=frame,
        split=split,
        clip_frames=np.array(feature["clip_frames"].int64_list.value),
        native_size=(height, width),
        size=(stored_height, stored_width),
        boxes=boxes,
        codes=codes.astype(np.int32),
        rles=rles,
        label_map=label_map,
        has_mask=np.array(
            feature["has_mask"].int64_list.value or [True] * len(codes), bool
        ),
        tracks=tracks,
        fields=fields,
    )


def read_shard(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the serialised records of a shard; InputError where it is missing or
    damaged.
    """
    with naming(path):
        yield from tf.data.TFRecordDataset(os.fspath(path)).as_numpy_iterator()


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Reraise errors as an InputError that names a shard, or the damaged one of
    their folder.
    """
    try:
        yield
    except (InputError, tf.errors.OpError) as error:
        # the records are not at fault
        if isinstance(error, tf.errors.ResourceExhaustedError):
            raise
        if isinstance(error, tf.errors.DataLossError) and os.path.isdir(path):
            for shard in sorted(pathlib.Path(path).glob("*.tfrecord")):
                collections.deque(read_shard(shard), maxlen=0)
        # TensorFlow's messages go on for lines about its graph.
        problem = error if isinstance(error, InputError) else type(error).__name__
        raise InputError(
            f"{path}: corrupt records ({problem}); rebuild them"
        ) from error


def write_shard(path: str | os.PathLike, records: Iterable[bytes]) -> None:
    """Write serialised records to a TFRecord file; InputError where that cannot be
    written.
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
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def _bytes(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values):
    values = np.asarray(values, np.int64)  # protobuf takes no booleans of NumPy 2
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
