"""Masks as polygons for annotation tools, which know no holes."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from a2d_tf.data.segmentations import box_of

# Pixels by which a simplified outline may deviate. 0.75 straightens steps. 0.25, for
# parts of fewer pixels than _SMALL, keeps the centre of each pixel on its side.
_ROUGH = 0.75
_EXACT = 0.25
_SMALL = 400


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Trace a mask: one polygon for each connected part, the largest first.

    If `decode_mask` fills the polygons again, the result differs from the mask only at
    its border. Pixels that touch at a corner are connected. Annotation tools know no
    holes, so the outline runs to a hole, around it, and back on the same line.

    Args:
      mask: bool [height, width] of the frame.

    Returns:
      [[x1, y1, x2, y2, ...], ...] in pixels, in steps of half a pixel, from 0 at the
      left or upper edge of the frame to its width or height; empty for an empty mask.
    """
    if not mask.any():
        return []
    cropped, left, top = crop(mask)
    outlines = [_simplified(rings) for rings in _trace(cropped)]
    outlines.sort(key=lambda outline: -cv2.contourArea(np.float32(outline)))
    return [(outline + (left, top)).ravel().tolist() for outline in outlines]


class Crop(NamedTuple):
    """A mask that is cut to the smallest box around it.

    Attributes:
      mask: bool [height, width] of the box.
      left, top: the position of the box's upper left corner in the frame, in pixels.
    """

    mask: np.ndarray
    left: int
    top: int


def crop(mask: np.ndarray) -> Crop:
    """Cut a mask to the smallest box around it.

    Args:
      mask: bool [height, width] of the frame, not empty.
    """
    top, left, bottom, right = box_of(mask).astype(int).tolist()
    return Crop(mask[top:bottom, left:right], left, top)


def _trace(mask: np.ndarray) -> list[list[np.ndarray]]:
    """Return the rings of each connected part of a mask.

    Returns:
      for each part, the outline and then its holes; each ring is int [n, 1, 2] of x, y
      in half pixels.
    """
    height, width = mask.shape
    grid = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    grid[1::2, 1::2] = mask
    grid = cv2.dilate(grid, np.ones((3, 3), np.uint8))
    rings, links = cv2.findContours(grid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    # For a hole the index of the outline around it, for an outline -1.
    parents = np.asarray(links)[0, :, 3].tolist()
    parts: dict[int, list[np.ndarray]] = {}
    for i, parent in enumerate(parents):
        if parent < 0:
            parts[i] = [rings[i]]
    for i, parent in enumerate(parents):
        if parent >= 0:
            parts[parent].append(rings[i])
    return list(parts.values())


def _simplified(rings: list[np.ndarray]) -> np.ndarray:
    """Join the rings of a part to one outline with fewer points.

    A hole that would lose its area is left out.

    Returns:
      float [n, 2] of x, y in pixels.
    """
    is_small = cv2.contourArea(rings[0]) < 4 * _SMALL
    tolerance = 2 * (_EXACT if is_small else _ROUGH)  # in half pixels
    outline = cv2.approxPolyDP(rings[0], tolerance, True)[:, 0]
    if len(outline) <= 2:
        outline = rings[0][:, 0]
    holes = []
    for ring in rings[1:]:
        hole = cv2.approxPolyDP(ring, tolerance, True)[:, 0]
        if len(hole) > 2:
            holes.append(hole)
    return _cut(outline, holes) / 2


def _cut(outline: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """Join holes to an outline, each by the shortest line between two points.

    Args:
      outline, holes: each int [n, 2] of x, y in half pixels.
    """
    for hole in sorted(holes, key=lambda ring: ring[:, 0].min()):
        distances = ((outline[:, None] - hole) ** 2).sum(axis=2)
        i, k = np.unravel_index(distances.argmin(), distances.shape)
        outline = np.concatenate(
            [outline[: i + 1], hole[k:], hole[: k + 1], outline[i:]]
        )
    return outline
