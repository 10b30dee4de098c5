"""Average precision of classes of boxes, as in PASCAL VOC.

Each class is scored separately. Within a frame, its boxes pass non-maximum suppression
in the order of their scores, and a true box is matched by the best box that overlaps it
enough. Precision and recall are those of the detections of all frames together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from a2d_tf.evaluation.boxes.box_matching import MATCH_IOU, iou
from a2d_tf.evaluation.boxes.box_suppression import suppress
from a2d_tf.evaluation.boxes.instance_tables import Truth

_TENTHS = 0.1 * np.arange(6)
# MATLAB's 0:0.1:1, which counts from both ends: .6 and .7 are the tenths, and only .3
# is slightly above it. NumPy's arange has all three above.
RECALL_LEVELS = np.concatenate([_TENTHS, 1 - _TENTHS[4::-1]])
"""The 11 recalls at which VOC2007 reads precision: 0, .1, …, 1."""

_BOXES = 1 << 16  # suppressed at once


class Curve(NamedTuple):
    """The curve of precision over recall of one class, as counts at its true positives.

    Detections are ranked by their scores. The curve has a point for each of the H true
    positives; precision only falls from one of them to the next, so these suffice.
    There may be one curve for each of S samples of the frames (bootstrap).

    Attributes:
      true: int [H] or float [S, H], the number of true positives with this score or a
        higher one.
      detections: [H] or [S, H], the number of detections with this score or a higher
        one.
      positives: the number of true boxes of the class: a number, or an array [S].
    """

    true: np.ndarray
    detections: np.ndarray
    positives: Any

    def best_precision(self) -> np.ndarray:
        """Return the highest precision at the recall of each point or a higher recall.

        Returns:
          float [H] or [S, H], in [0, 1].
        """
        precision = self.true / self.detections
        return np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]


def average_precision(curve: Curve) -> Any:
    """Compute the average precision of VOC2007.

    It is the mean, over the recalls 0, .1, …, 1, of the best precision at this or a
    higher recall. The levels of recall are those of VOC's MATLAB code: a recall of
    exactly 6/10 reaches level 0.6, one of 3/10 does not reach level 0.3.

    Args:
      curve: the curve of precision over recall of one class.

    Returns:
      a number in [0, 1], or [S] for a curve of S samples; 0 without true boxes.
    """
    beyond = np.zeros((*curve.true.shape[:-1], 1))  # precision at a recall not reached
    best = np.concatenate([curve.best_precision(), beyond], axis=-1)
    recall = curve.true / np.maximum(curve.positives, 1)[..., None]
    reached = (recall[..., None, :] < RECALL_LEVELS[:, None]).sum(axis=-1)
    return np.take_along_axis(best, reached, axis=-1).mean(axis=-1)


def area_under_curve(curve: Curve) -> Any:
    """Compute the average precision of VOC2010, the area under precision over recall.

    The precision at a recall is the best one at this or a higher recall.

    Args:
      curve: the curve of precision over recall of one class.

    Returns:
      a number in [0, 1], or [S] for a curve of S samples; 0 without true boxes.
    """
    return curve.best_precision().sum(axis=-1) / np.maximum(curve.positives, 1)


@dataclasses.dataclass(frozen=True)
class ClassScorer:
    """Computes the AP of one class after another on the same R RoIs; make it with `of`.

    RoIs and true boxes list their frames separately: F and F' names.

    Attributes:
      truth: the G true boxes of all classes, with their F' frames.
      roi_frame: int64 [R], the frame of each RoI, an index into the RoIs' F frames.
      roi_order: int64 [R], the indices of the RoIs, sorted by their frames.
      true_frame: int64 [G], the frame of each true box, an index into the RoIs' F
        frames; -1 for a frame without RoIs.
      frame_in_truth: int64 [F], the index of each of the RoIs' frames among the truth's
        F' frames; -1 for a frame that is not among them.
      weights: float [S, F'], how often each frame of the truth is in each of S samples;
        None to count each frame once.
      measure: the function that makes an AP in [0, 1] of a `Curve`.
    """

    truth: Truth
    roi_frame: np.ndarray
    roi_order: np.ndarray
    true_frame: np.ndarray
    frame_in_truth: np.ndarray
    weights: np.ndarray | None
    measure: Callable[[Curve], Any]

    @classmethod
    def of(
        cls,
        truth: Truth,
        *,
        frames: np.ndarray,
        roi_frame: np.ndarray,
        weights: np.ndarray | None = None,
        measure: Callable[[Curve], Any] = average_precision,
    ) -> ClassScorer:
        """Prepare to score RoIs, boxes that a network proposed, in one class or more.

        Args:
          truth: the true boxes of all classes.
          frames: [F], the names of the frames that have RoIs.
          roi_frame: int64 [R], the frame of each RoI, an index into `frames`.
          weights: int [S, F'], how often each of the truth's F' frames is in each of S
            samples (bootstrap); None to count each frame once.
          measure: the function that makes an AP in [0, 1] of a `Curve`:
            `average_precision` (VOC2007) or `area_under_curve` (VOC2010).
        """
        if weights is not None:
            # As floats, whose products of matrices are fast and here exact.
            weights = weights.astype(float)
        return cls(
            truth=truth,
            roi_frame=roi_frame,
            roi_order=np.argsort(roi_frame, kind="stable"),
            true_frame=_positions(truth.frames, frames)[truth.box_frame],
            frame_in_truth=_positions(frames, truth.frames),
            weights=weights,
            measure=measure,
        )

    def ap(self, boxes: np.ndarray, scores: np.ndarray, of_class: np.ndarray) -> Any:
        """Compute the AP of one class, with non-maximum suppression in each frame.

        Args:
          boxes: float32 [R, 4], the box of each RoI for this class, (y1, x1, y2, x2) in
            pixels of the video.
          scores: float [R], the score of each RoI in this class; -inf leaves a RoI out.
          of_class: bool [G], whether each true box is of the class.

        Returns:
          the AP in percent: a number, or [S] with `weights`.
        """
        # First only the frames with a true box of the class: hits are nowhere else.
        with_truth = np.isin(self.roi_frame, self.true_frame[of_class])
        kept = self._suppress(with_truth & (scores > -np.inf), boxes, scores)
        hits = self._hits(kept, boxes, scores, of_class)
        # In the other frames, the RoIs below the last hit need no suppression: they
        # change neither the AP nor which better ones are kept.
        counted = scores >= scores[hits].min(initial=np.inf)
        kept |= self._suppress(counted & ~with_truth, boxes, scores)

        rois = self._by_frame(kept & counted)
        ranked = rois[np.argsort(-scores[rois], kind="stable")]
        if self.weights is None:
            curve = curve_of_hits(hits[ranked], of_class.sum())
        else:
            curve = self._sampled_curve(self.weights, ranked, hits[ranked], of_class)
        return 100 * self.measure(curve)

    def _by_frame(self, selected: np.ndarray) -> np.ndarray:
        """Return the indices of the selected RoIs, a mask [R], sorted by frame."""
        return self.roi_order[selected[self.roi_order]]

    def _suppress(
        self, candidates: np.ndarray, boxes: np.ndarray, scores: np.ndarray
    ) -> np.ndarray:
        """Return which of the candidates, a mask [R], remain after suppression.

        Returns:
          bool [R].
        """
        kept = np.zeros(len(scores), bool)
        rois = self._by_frame(candidates)
        _, starts, counts = np.unique(
            self.roi_frame[rois], return_index=True, return_counts=True
        )
        # Frames with similar numbers of RoIs are suppressed together.
        frames = np.argsort(-counts, kind="stable")
        first = 0
        while first < len(frames):
            width = counts[frames[first]]
            together = frames[first : first + max(1, _BOXES // width)]
            first += len(together)
            # A row for each frame, filled up with RoIs that do not count.
            columns = np.arange(width)
            indices = np.minimum(starts[together, None] + columns, len(rois) - 1)
            table = rois[indices]
            filled = columns < counts[together, None]
            ranks = np.where(filled, scores[table], -np.inf)
            kept[table[suppress(boxes[table], ranks)]] = True
        return kept

    def _hits(
        self,
        kept: np.ndarray,
        boxes: np.ndarray,
        scores: np.ndarray,
        of_class: np.ndarray,
    ) -> np.ndarray:
        """Return which RoIs are true positives: bool [R].

        For each true box of the class, that is the best RoI with an IoU of MATCH_IOU or
        more, among those that suppression has kept (`kept`, a mask [R]).
        """
        hits = np.zeros(len(scores), bool)
        rois = self._by_frame(kept)
        roi_frames = self.roi_frame[rois]
        true_boxes = self.truth.boxes[of_class]
        for frame, true_box in zip(self.true_frame[of_class], true_boxes):
            first, end = np.searchsorted(roi_frames, (frame, frame + 1))
            in_frame = rois[first:end]
            overlapping = in_frame[iou(boxes[in_frame], true_box) >= MATCH_IOU]
            if len(overlapping):
                hits[overlapping[scores[overlapping].argmax()]] = True
        return hits

    def _sampled_curve(
        self,
        weights: np.ndarray,
        ranked: np.ndarray,
        hits: np.ndarray,
        of_class: np.ndarray,
    ) -> Curve:
        """Return the curve of each sample of the frames.

        Args:
          weights: float [S, F'], how often each frame of the truth is in each sample.
          ranked: int [N], the indices of the RoIs that count, the best first.
          hits: bool [N], which of these are true positives.
          of_class: bool [G], whether each true box is of the class.
        """
        frames = self.frame_in_truth[self.roi_frame[ranked]]
        # The number of detections of each frame between one true positive and the next;
        # the last column counts the detections behind the last true positive.
        between = np.zeros((weights.shape[1], hits.sum() + 1))
        np.add.at(between, (frames, np.cumsum(hits) - hits), 1)
        true = np.cumsum(weights[:, frames[hits]], axis=1)
        detections = np.cumsum(weights @ between[:, :-1], axis=1)
        positives = weights[:, self.truth.box_frame[of_class]].sum(axis=1)
        # In a sample, a curve may begin with true positives of no weight.
        return Curve(true, np.maximum(detections, 1), positives)


def curve_of_hits(hits: np.ndarray, positives: Any) -> Curve:
    """Make the curve of precision over recall of ranked detections.

    Args:
      hits: bool [N], whether each detection is a true positive, the best detection
        first.
      positives: the number of true boxes.
    """
    true = np.arange(1, hits.sum() + 1)
    return Curve(true, np.flatnonzero(hits) + 1, positives)


def _positions(names: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the index of each name in `among`; -1 if it is not there: int [names]."""
    index = {name: i for i, name in enumerate(among.tolist())}
    return np.array([index.get(name, -1) for name in names.tolist()], int)
