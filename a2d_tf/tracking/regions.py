"""Overlap and distance of regions: boxes with their masks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle_tools


class Region(NamedTuple):
    """Where an instance lies in a frame.

    Attributes:
      box: [4], (y1, x1, y2, x2) in pixels of the frame.
      mask: the instance's mask in COCO's RLE; it may have no pixels.
    """

    box: np.ndarray
    mask: dict[str, Any]

    def diagonal(self) -> float:
        """Return the length of the box's diagonal in pixels."""
        y1, x1, y2, x2 = self.box
        return math.hypot(y2 - y1, x2 - x1)

    def distance(self, other: Region) -> float:
        """Return the distance from this box's centre to that of another, in pixels."""
        y1, x1, y2, x2 = np.asarray(self.box, np.float64)
        other_y1, other_x1, other_y2, other_x2 = np.asarray(other.box, np.float64)
        twice_down = y1 + y2 - other_y1 - other_y2
        twice_across = x1 + x2 - other_x1 - other_x2
        return math.hypot(twice_down, twice_across) / 2


def iou(regions: Sequence[Region], others: Sequence[Region]) -> np.ndarray:
    """Return the IoU of each of N regions with each of K others.

    Masks are compared; if one of two masks is empty, boxes are compared.

    Returns:
      float64 [N, K].
    """
    return _overlaps(regions, others, is_crowd=False)


def share_inside(regions: Sequence[Region], others: Sequence[Region]) -> np.ndarray:
    """Return the share of each of N regions' area that lies inside each of K others.

    Masks are compared; if one of two masks is empty, boxes are compared.

    Returns:
      float64 [N, K], from 0 to 1.
    """
    return _overlaps(regions, others, is_crowd=True)


def _overlaps(
    regions: Sequence[Region], others: Sequence[Region], is_crowd: bool
) -> np.ndarray:
    """Return IoU [N, K], or with `is_crowd` the shares of regions inside others."""
    if not regions or not others:
        return np.zeros((len(regions), len(others)))
    masks = [region.mask for region in regions]
    other_masks = [region.mask for region in others]
    crowd = [int(is_crowd)] * len(others)
    is_empty = rle_tools.area(masks) == 0
    is_other_empty = rle_tools.area(other_masks) == 0
    return np.where(
        is_empty[:, None] | is_other_empty,
        rle_tools.iou(_coco_boxes(regions), _coco_boxes(others), crowd),
        rle_tools.iou(masks, other_masks, crowd),
    )


def _coco_boxes(regions: Sequence[Region]) -> np.ndarray:
    """Return the boxes of regions as COCO has them: [N, 4], x, y, width, height."""
    boxes = []
    for region in regions:
        y1, x1, y2, x2 = region.box
        boxes.append([x1, y1, x2 - x1, y2 - y1])
    return np.array(boxes, np.float64)
