"""The record format: clips as tf.train.Examples, written and parsed here alone.

A record is one annotated *key frame* and the clip of T frames centred on it. Frames and
flow are stored at the training size, the ground truth also at the native size, at which
it is scored. docs/data_format.md lists the features.

A record has `has_mask` only if the mask of an instance is unknown, and `track` or one
of `instance_fields.FIELDS` only if its source has it.
"""

from a2d_tf.data.clip_records.encoding import encode, resize_mask
from a2d_tf.data.clip_records.parsing import parse, parse_motion_maps, parse_video
from a2d_tf.data.clip_records.shards import (
    read_shard,
    reporting_damage,
    write_shard,
)
from a2d_tf.data.clip_records.truth import (
    ClipTruth,
    StoredBoxes,
    read_boxes,
    read_truth,
)

__all__ = [
    "ClipTruth",
    "StoredBoxes",
    "encode",
    "parse",
    "parse_motion_maps",
    "parse_video",
    "read_boxes",
    "read_shard",
    "read_truth",
    "reporting_damage",
    "resize_mask",
    "write_shard",
]
