"""Polygons of a mask, as annotation tools draw them: along the edges of its pixels."""

from __future__ import annotations

import cv2
import numpy as np

from a2d_tf.core.errors import InputError
from a2d_tf.data.segmentations import decode_mask

# Pixels by which an outline may leave the edges; at the last no pixel's centre changes sides.
_TOLERANCES = (0.75, 0.5, 0.25)
_LEAST_IOU = 0.95  # of a mask and its polygons


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Trace a mask, one polygon a connected part, the largest first.

    Filled again by `decode_mask`, the polygons differ from the mask in pixels at its border alone,
    and their IoU with it is 0.95 or more; they have as few points as that allows. Pixels that touch
    at a corner are connected. Annotation tools know no holes: a cut of no width, there and back,
    joins a hole to the outline, and fills no pixel.

    Args:
      mask: bool [height, width].

    Returns:
      [[x1, y1, x2, y2, ...], ...] in pixels, in steps of half a pixel, from 0 at the left or upper
      edge of the frame to its width or height; empty for an empty mask.
    """
    if not mask.any():
        return []
    inside, *corner = crop(mask)
    parts, outlines = _trace(inside), []
    for tolerance in _TOLERANCES:
        outlines = _simplified(parts, tolerance)
        if _is_close(outlines, inside):
            break
    outlines.sort(key=lambda outline: -cv2.contourArea(np.float32(outline)))
    return [(outline + corner).ravel().tolist() for outline in outlines]


def crop(mask: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Cut a mask that is not empty to its box; returns it, and the box's left and top."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return mask[top : rows[-1] + 1, left : columns[-1] + 1], left, top


def _trace(mask):
    """The rings [n, 1, 2] of each connected part, its holes behind the outline, in half pixels.

    OpenCV's contours run through the centres of pixels. On a grid of the corners and centres of
    pixels, and of the middles of their edges, these lie on the edges.
    """
    height, width = mask.shape
    grid = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    grid[1::2, 1::2] = mask
    grid = cv2.dilate(grid, np.ones((3, 3), np.uint8))
    rings, links = cv2.findContours(grid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parts: dict[int, list] = {i: [rings[i]] for i, link in enumerate(links[0]) if link[3] < 0}
    for ring, link in zip(rings, links[0]):
        if link[3] >= 0:
            parts[link[3]].append(ring)
    return list(parts.values())


def _simplified(parts, tolerance):
    """The outlines [n, 2] of parts, in pixels, with fewer points and with cuts to their holes."""
    outlines = []
    for rings in parts:
        simple = [cv2.approxPolyDP(ring, 2 * tolerance, True)[:, 0] for ring in rings]
        if len(simple[0]) > 2:
            outlines.append(_cut([ring for ring in simple if len(ring) > 2]) / 2)
    return outlines


def _cut(rings):
    """Join an outline and its holes, each by the shortest line between two of their points."""
    outline, *holes = rings
    for hole in sorted(holes, key=lambda ring: ring[:, 0].min()):
        distances = ((outline[:, None] - hole) ** 2).sum(axis=2)
        i, k = np.unravel_index(distances.argmin(), distances.shape)
        outline = np.concatenate([outline[: i + 1], hole[k:], hole[: k + 1], outline[i:]])
    return outline


def _is_close(outlines, mask):
    """Whether filled outlines differ from the mask at its border alone, and little."""
    try:
        filled = decode_mask([outline.ravel().tolist() for outline in outlines], *mask.shape)
    except InputError:  # nothing is left of it
        return False
    square = np.ones((3, 3), np.uint8)
    widest = cv2.dilate(np.uint8(mask), square).astype(bool)
    least = cv2.erode(np.uint8(mask), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    inside = not (filled & ~widest).any() and not (least.astype(bool) & ~filled).any()
    return inside and (filled & mask).sum() >= _LEAST_IOU * (filled | mask).sum()
