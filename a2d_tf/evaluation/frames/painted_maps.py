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
    """A frame's label map, codes [H, W], and the thresholds at which it is this one."""

    thresholds: list[float]
    label_map: np.ndarray


def label_map(frame: Frame, threshold: float, labels: LabelSpace) -> np.ndarray:
    """Paint the instances of at least this p(actor): codes in the labels' dtype."""
    return next(label_maps(frame, [threshold], labels)).label_map


def label_maps(
    frame: Frame, thresholds: Iterable[float], labels: LabelSpace
) -> Iterator[PaintedMap]:
    """Yield the label map of each threshold, from the highest down.

    Instances come best first, so each threshold only paints those that it adds.
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
