"""The true boxes of a batch, as a network labels them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from a2d_tf.data import clip_records

_ROWS = 8  # numbers of rows are multiples of it: a GPU sees few shapes


class BatchBoxes(NamedTuple):
    """The true boxes of B key frames, in the form in which `infer_boxes` labels boxes.

    Attributes:
      boxes: float32 [B, N, 4], (y1, x1, y2, x2) in pixels of the network's input; the
        rows of a frame beyond its boxes are 0.
      number: int32 [B], the number of boxes of each frame.
    """

    boxes: tf.Tensor
    number: tf.Tensor

    @classmethod
    def of(cls, batch: dict[str, tf.Tensor]) -> BatchBoxes:
        """Read the true boxes of a batch of clips.

        Args:
          batch: fields of the clips: `record`, the serialized records [B]; `size`,
            int32 [B, 2], height and width of each frame inside the network's input.

        Raises:
          InputError: a record is damaged.
        """
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
"""Shapes and dtypes of `BatchBoxes` of any size, to trace a graph with."""
