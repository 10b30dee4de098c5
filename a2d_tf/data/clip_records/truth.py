"""Read the ground truth of records, exactly as annotated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from a2d_tf.core.errors import InputError, quoted
from a2d_tf.core.files import is_file_name
from a2d_tf.data.instance_fields import FIELDS


@dataclasses.dataclass(frozen=True)
class ClipTruth:
    """The ground truth of a record's key frame, at the size of the video.

    Attributes:
      video: VID, the name of the video.
      frame: number of the key frame, from 1.
      split: 'train' or 'test'.
      clip_frames: int [T], numbers of the clip's frames in the video, from 1.
      native_size: (height, width) of the video, pixels.
      size: (height, width) of the stored frames, pixels.
      boxes: float32 [N, 4], (y1, x1, y2, x2) of the instances, pixels of the video.
      codes: int32 [N], number of each instance's actor-action pair, see `LabelSpace`.
      rles: the N masks as COCO's RLEs, {'size': [height, width], 'counts': bytes}.
      label_map: code of each pixel [height, width], uint8 or uint16; 0 is background.
        It lacks instances without masks, see `is_complete`.
      has_mask: bool [N]; False if only the box is known, and the mask is empty then.
      tracks: int64 [N], number of each instance's individual in its video, -1 if
        unknown; None if the source has no such numbers.
      fields: {name in `instance_fields.FIELDS`: values of the instances [N, ...]}.
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
        """Whether each instance has a mask, so that the label map shows all of them."""
        return bool(self.has_mask.all())

    @property
    def name(self) -> str:
        """The key frame's name: '<video>/<5 digits>', such as 'clip1/00030'."""
        return f"{self.video}/{self.frame:05d}"


def read_truth(serialized: bytes) -> ClipTruth:
    """Read the ground truth of a record, exactly as annotated.

    Args:
      serialized: one record, as `read_shard` yields it.

    Raises:
      InputError: the bytes are no record, a feature is missing or does not fit the
        others, or the video's name cannot be part of a path.
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
    """The boxes of a record's instances.

    Attributes:
      boxes: float32 [N, 4], y1, x1, y2, x2 in pixels of the video.
      native_size: (height, width) of the video, pixels.
    """

    boxes: np.ndarray
    native_size: tuple[int, int]

    def scaled(self, size: np.ndarray) -> np.ndarray:
        """Return the boxes for frames that were resized.

        Args:
          size: (height, width) of the resized frames, pixels, [2].

        Returns:
          [N, 4], y1, x1, y2, x2 in pixels of these frames.
        """
        return self.boxes * np.tile(size / np.array(self.native_size), 2)


def read_boxes(serialized: bytes) -> StoredBoxes:
    """Read only the boxes of a record, which is faster than `read_truth`.

    Args:
      serialized: one record, as `read_shard` yields it.

    Raises:
      InputError: the bytes are no record, or a feature is missing.
    """
    try:
        features = tf.train.Example.FromString(serialized).features.feature
        height = features["native_height"].int64_list.value[0]
        width = features["native_width"].int64_list.value[0]
        return StoredBoxes(_boxes_of(features), (height, width))
    except (DecodeError, IndexError, ValueError) as error:
        raise _not_a_record() from error


def _not_a_record() -> InputError:
    """Return the error for bytes that are no record."""
    return InputError("not a clip record, or a field is missing")


def _boxes_of(features: Mapping[str, Any]) -> np.ndarray:
    """Return the boxes of a tf.train.Example's features."""
    return np.array(features["boxes"].float_list.value, np.float32).reshape(-1, 4)


def _truth_of(features: Mapping[str, Any]) -> ClipTruth:
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
