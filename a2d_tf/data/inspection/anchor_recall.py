"""Recall of the proposal network's anchors on the instances of records, by their size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.data.flow import fit
from a2d_tf.ops import anchors

if TYPE_CHECKING:
    from a2d_tf.data.records import ClipTruth

IOUS = (anchors.ROI_POSITIVE_IOU, anchors.POSITIVE_IOU)
"""IoU at which a RoI, and at which an anchor, is positive."""
_BOUNDS = (8, 16, 32, 64, 128)  # square root of a box's area, in pixels


class Boxes:
    """Ground-truth boxes on the network's canvas, (height, width)."""

    def __init__(self, canvas: tuple[int, int]) -> None:
        self.canvas = canvas
        self._boxes: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []

    def add(self, truth: ClipTruth) -> None:
        """Add the boxes of a record."""
        frame = np.array(fit(*truth.native_size, *self.canvas))
        self._boxes += list(truth.boxes * np.tile(frame / truth.native_size, 2))
        self._frames += [frame] * len(truth.boxes)

    def sides(self) -> np.ndarray:
        """Return the square root of each box's area: [N]."""
        boxes = np.reshape(self._boxes, (-1, 4))
        return np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))

    def overlaps(self, sizes: Sequence) -> np.ndarray:
        """Return each box's IoU with its best anchor, [N]; `sizes` as of `anchors.generate`."""
        boxes, frames = np.reshape(self._boxes, (-1, 4)), np.reshape(self._frames, (-1, 2))
        return anchors.best_overlaps(boxes, frames, anchors.STRIDES, sizes)


def text(boxes: Boxes, variants: Mapping[str, Sequence]) -> list[str]:
    """Format the recall of each variant, {name: anchor sizes}, over all boxes and by size."""
    height, width = boxes.canvas
    sides, lines = boxes.sides(), []
    edges = (0, *_BOUNDS, np.inf)
    groups = {"all": np.ones(len(sides), bool)}
    for low, high in zip(edges, edges[1:]):
        name = f"{low:g} to {high:g}" if high < np.inf else f"{low:g} and more"
        groups[name] = (sides >= low) & (sides < high)
    for variant, sizes in variants.items():
        best = boxes.overlaps(sizes)
        count = sum(
            len(level) * len(anchors.RATIOS) * -(-height // stride) * -(-width // stride)
            for level, stride in zip(sizes, anchors.STRIDES)
        )
        lines += [
            f"anchors {variant}: {count} on {height}x{width}",
            "  side, pixels      boxes" + "".join(f"   IoU >= {iou:g}" for iou in IOUS),
        ]
        for name, group in groups.items():
            if group.any():
                recall = "".join(f"{100 * (best[group] >= iou).mean():11.1f} %" for iou in IOUS)
                lines.append(f"  {name:<14}{group.sum():>9}{recall}")
    return lines
