"""The true boxes of a batch, as a network labels them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.data import clip_records

_ROWS = 8  # numbers of rows are multiples of it: a GPU sees few shapes


class BatchBoxes(NamedTuple):
    """The true boxes of a batch, as `infer_boxes` takes them.

    Attributes:
      boxes: float32 [B, N, 4].
      number: int32 [B].
    """

    boxes: tf.Tensor
    number: tf.Tensor

    @classmethod
    def of(cls, batch: dict[str, tf.Tensor]) -> BatchBoxes:
        """Return those of a batch's `record` and `size`."""
        boxes = []
        for record, size in zip(batch["record"].numpy(), batch["size"].numpy()):
            boxes.append(clip_records.read_boxes(record).scaled(size))
        number = np.array([len(of_frame) for of_frame in boxes], np.int32)
        rows = _ROWS * max(-(-number.max() // _ROWS), 1)
        padded = np.zeros((len(boxes), rows, 4), np.float32)
        for of_frame, into in zip(boxes, padded):
            into[: len(of_frame)] = of_frame
        return cls(tf.constant(padded), tf.constant(number))


BOX_SPECS = BatchBoxes(
    tf.TensorSpec([None, None, 4], tf.float32), tf.TensorSpec([None], tf.int32)
)
