"""Suppression and matching of a class's boxes in the frames of a split.

Every RoI counts for every class, hundreds of thousands of suppressions. They are vectorised over
many frames, so that NumPy releases the GIL to other threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from a2d_tf.evaluation.box_data import Detections, Truth
from a2d_tf.evaluation.coco_results import Results

NMS_IOU = 3, 10  # the fraction 3/10, see _apart
MATCH_IOU = 0.5

_CELLS = 1 << 15  # RoIs per batch of NMS, padding included
_HEAD = 24  # boxes per frame and round of NMS that are compared with all lower ones


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of pairs of boxes [..., 4]; 0 where both are empty."""
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    overlap = np.prod(np.maximum(high - low, 0), axis=-1)
    area, other = ((b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (boxes, others))
    union = area + other - overlap
    return np.divide(overlap, union, out=np.zeros_like(union), where=union > 0)


def match(
    chunk: tuple[np.ndarray, np.ndarray, np.ndarray],
    boxes: np.ndarray,
    scores: np.ndarray,
    gt_boxes: np.ndarray,
    *,
    targets: np.ndarray,
    with_truth: bool,
    least: float = -np.inf,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Suppress and match the boxes of a class in some frames of a chunk.

    Args:
      chunk: of `chunks`.
      boxes, scores: of the chunk's RoIs.
      gt_boxes, targets: of all ground truth; bool, whether it is of this class.
      with_truth: whether to take the frames that have ground truth of this class, or the others.
      least: a score; boxes below it are left out.

    Returns:
      (scores, hits, RoI indices) of the boxes kept, frame after frame by descending score.
    """
    rois, gts, gt_row = chunk
    gt_row, gts = gt_row[targets[gts]], gts[targets[gts]]
    own = np.zeros(len(rois), bool)
    own[gt_row] = True
    used = rois >= 0
    place = np.cumsum(used).reshape(rois.shape) - 1
    indices = rois[used]
    used &= (own == with_truth)[:, None] & (scores[place] >= least)
    counts = used.sum(axis=1)
    rows = np.flatnonzero(counts)
    used, place, counts = used[rows], place[rows], counts[rows]
    order = np.argsort(np.where(used, -scores[place], np.inf), axis=1, kind="stable")
    order = np.take_along_axis(place, order[:, : counts.max(initial=1)], axis=1)
    ordered = boxes[order]
    kept = _suppress(ordered, np.arange(order.shape[1]) < counts[:, None])
    hits = np.zeros(kept.shape, bool)
    # The first box kept that overlaps a true one enough is a hit.
    known = np.isin(gt_row, rows)
    row, gts = np.searchsorted(rows, gt_row[known]), gts[known]
    matches = (iou(ordered[row], gt_boxes[gts, None]) >= MATCH_IOU) & kept[row]
    found = matches.any(axis=1)
    hits[row[found], matches[found].argmax(axis=1)] = True
    return scores[order[kept]], hits[kept], indices[order[kept]]


def chunks(
    detections: Detections | Results, truth: Truth
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Split the frames with detections, in order, into batches.

    Yields:
      (RoI indices [F, N], padded with -1; ground-truth indices [G]; the row of each in F, [G]).
    """
    order = np.argsort(detections.roi_frame, kind="stable")
    roi_groups = np.split(order, np.cumsum(np.bincount(detections.roi_frame))[:-1])
    gts: dict[str, list[int]] = {}
    for i, frame in enumerate(truth.box_frame.tolist()):
        gts.setdefault(truth.frames[frame], []).append(i)

    groups: list[list] = []
    longest = 0
    for frame, indices in zip(detections.frames, roi_groups):
        if not len(indices):
            continue
        longest = max(longest, len(indices))
        if not groups or (len(groups[-1]) + 1) * longest > _CELLS:
            groups.append([])
            longest = len(indices)
        groups[-1].append((frame, indices))
    for group in groups:
        padded = np.full((len(group), max(len(indices) for _, indices in group)), -1)
        for row, (_, indices) in zip(padded, group):
            row[: len(indices)] = indices
        group_gts = [gts.get(frame, []) for frame, _ in group]
        rows = np.repeat(np.arange(len(group)), [len(indices) for indices in group_gts])
        yield padded, np.array(sum(group_gts, []), np.int64), rows


def _suppress(boxes, alive):
    """Greedy NMS on many frames at once.

    Args:
      boxes: float32 [F, N, 4], by descending score within each frame.
      alive: bool [F, N], False where a frame has fewer than N.

    Returns:
      bool [F, N], which boxes are kept.
    """
    kept = np.zeros(alive.shape, bool)
    column = np.broadcast_to(np.arange(alive.shape[1]), alive.shape)
    edges = np.ascontiguousarray(np.moveaxis(boxes, 2, 0))
    while alive.any():
        most = alive.sum(axis=1).max()
        if most <= 0.7 * alive.shape[1]:  # move the living up and cut off the rest
            living = np.argsort(~alive, axis=1, kind="stable")[:, :most]
            alive, column = (np.take_along_axis(x, living, axis=1) for x in (alive, column))
            edges = np.take_along_axis(edges, living[None], axis=2)
        rows = min(_HEAD, alive.shape[1])
        apart, head = _apart(edges, rows), alive[:, :rows].copy()
        for i in range(rows - 1):
            head[:, i + 1 :] &= apart[:, i, i + 1 : rows] | ~head[:, i : i + 1]
        np.put_along_axis(kept, column[:, :rows], head, axis=1)
        below = apart[:, :, rows:] | ~head[:, :, None]
        alive = alive[:, rows:] & below.all(axis=1)
        column, edges = column[:, rows:], edges[:, :, rows:]
    return kept


def _apart(edges, rows):
    """Test IoU <= NMS_IOU between the first boxes of each frame and all its boxes.

    IoU <= p/q is tested as (p + q) * overlap <= p * (sum of both areas), which is exact for whole
    pixels and holds for empty boxes.

    Args:
      edges: float32 [4, F, N], x1, y1, x2, y2.
      rows: number of first boxes.

    Returns:
      bool [F, rows, N].
    """
    numerator, denominator = NMS_IOU
    _, frames, count = edges.shape
    result = np.empty((frames, rows, count), bool)
    # A few frames at a time, so that intermediate results stay in the processor's cache.
    step = max(1, (1 << 16) // (rows * count))
    for start in range(0, frames, step):
        part = edges[:, start : start + step]
        x1, y1, x2, y2 = part[:, :, None]
        u1, v1, u2, v2 = part[:, :, :rows, None]
        overlap = np.minimum(x2, u2)
        overlap -= np.maximum(x1, u1)
        # Clipping one factor suffices: a negative overlap never exceeds a sum of areas.
        np.maximum(overlap, 0, out=overlap)
        height = np.minimum(y2, v2)
        height -= np.maximum(y1, v1)
        overlap *= height
        overlap *= numerator + denominator
        areas = np.add(
            numerator * (x2 - x1) * (y2 - y1), numerator * (u2 - u1) * (v2 - v1), out=height
        )
        np.less_equal(overlap, areas, out=result[start : start + step])
    return result
