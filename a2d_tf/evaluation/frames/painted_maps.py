"""The label maps of an evaluated frame, painted at native size."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.frames.evaluated_frames import Frame
from a2d_tf.ops.label_painter import LabelPainter


class PaintedMap(NamedTuple):
    """A label map that several thresholds of p(actor) share.

    Attributes:
      thresholds: the thresholds at which the frame has this label map, the highest
        first.
      label_map: uint8 or uint16 [H, W], the code of each pixel, 0 for background.
    """

    thresholds: list[float]
    label_map: np.ndarray


def label_map(frame: Frame, threshold: float, labels: LabelSpace) -> np.ndarray:
    """Paint the instances of a frame as a label map of the size of the video.

    Where masks overlap, the instance with the higher score keeps the pixel.

    Args:
      frame: the frame with its instances.
      threshold: the least p(actor) of an instance that is painted.
      labels: the label space of the codes, which gives the dtype of the map.

    Returns:
      uint8 or uint16 [H, W], the code of each pixel, 0 for background.
    """
    return next(label_maps(frame, [threshold], labels)).label_map


def label_maps(
    frame: Frame, thresholds: Iterable[float], labels: LabelSpace
) -> Iterator[PaintedMap]:
    """Paint the label map of a frame at each threshold, from the highest down.

    Instances come best first, so that each threshold only paints those that it adds.

    Args:
      frame: the frame with its instances.
      thresholds: least values of p(actor), in any order.
      labels: the label space of the codes.

    Yields:
      a map with all thresholds that share it.
    """
    instances = frame.instances
    painter = LabelPainter(*frame.truth.native_size, labels.code_dtype)

    def count(threshold: float) -> int:
        return np.count_nonzero(instances.class_scores >= threshold)

    painted = 0
    descending = sorted(thresholds, reverse=True)
    for number, with_this_number in itertools.groupby(descending, count):
        for i in range(painted, number):
            painter.paint(frame.patches[i], instances.score[i], instances.code[i])
        painted = number
        yield PaintedMap(list(with_this_number), painter.labels.copy())
