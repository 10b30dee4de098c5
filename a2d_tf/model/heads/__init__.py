"""The heads: each owns its layers, its labels, its loss terms and its decoding (paper,
3.1 to 3.3).

`actor` and `action` run on every RoI, inside of one functional model, `roi_heads`. An
`InstanceHead`, as `mask`, is a model of its own, for few rows: the positives in
training, the instances of a frame at inference. `proposals` makes the RoIs.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import tensorflow as tf

from a2d_tf.model.structures import BatchTruth, Options, Rows, Seen, Terms


class Head(Protocol):
    """What training asks of every head; each also builds its layers and decodes their
    outputs.

    Actions are decoded by `LabelMode.table`, which knows what a pair is.

    Attributes:
      branch: "actor" or "action", what a phase trains (4.3, w/o joint training).
      outputs: names of what it computes in `roi_heads`.
    """

    branch: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]]

    def layers(self) -> list[tf.keras.layers.Layer]:
        """Return the layers of its own model; none where all are in `roi_heads`."""
        return []

    def class_layers(self) -> dict[str, list[tuple[str, ...]]]:
        """Return {layer with rows of classes: the names of each class, its own
        first}.
        """
        return {}

    def terms(
        self, seen: Seen, rows: Rows, truth: BatchTruth, options: Options
    ) -> Terms:
        """Return the loss terms of sampled RoIs, by names of `losses.TERMS`."""


class InstanceHead(Protocol):
    """What inference asks of a head that runs on instances alone.

    Attributes:
      name: of its result among `BatchDetections.more`.
      needs_image: whether it reads the pixels of the key frame.
    """

    name: ClassVar[str]
    needs_image: bool

    def decode(self, seen: Seen, boxes: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Return its result for instances, [B, N, ...], by boxes [B, N, 4], classes
        [B, N].
        """
