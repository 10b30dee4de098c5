"""Match predicted objects with annotated ones, frame by frame, and count mistakes.

An annotated object is found if a predicted object with its actor and action has an IoU
of 0.5 or more with it: that of the masks, or of the boxes if the annotated object has
no mask. Each predicted object finds one at most, see `box_matching.match`; predicted
objects that find none are wrong.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.counts import Counts
from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.box_matching import iou, match
from a2d_tf.evaluation.own_labels.object_scores import PairScores


class PredictedObjects(NamedTuple):
    """The N objects that are predicted in a frame, the best first.

    Attributes:
      codes: int [N], the code of each object's actor and action.
      boxes: float [N, 4], (y1, x1, y2, x2) in pixels of the video.
      masks: N COCO RLEs; may be empty if no true object of the frame has a mask.
    """

    codes: np.ndarray
    boxes: np.ndarray
    masks: list[dict]


class TrueObjects(NamedTuple):
    """The T objects that are annotated in a frame.

    Attributes:
      codes: int [T], the code of each object's actor and action.
      boxes: float [T, 4], (y1, x1, y2, x2) in pixels of the video.
      has_mask: bool [T], whether each object is annotated with a mask, not with a box
        alone.
      masks: T COCO RLEs; that of an object without a mask may be anything.
    """

    codes: np.ndarray
    boxes: np.ndarray
    has_mask: np.ndarray
    masks: list[Any]


class MatchedFrame(NamedTuple):
    """The N predicted objects of a frame, matched with the true ones.

    Attributes:
      codes: int [N], the codes of the predicted objects.
      is_right: bool [N], whether each predicted object finds a true one.
      missed: int [M], the indices of the true objects that are not found.
      mistakes: [(true code, predicted code)], the highest true code first. A missed
        object and a wrong prediction that overlap it with an IoU of 0.5 or more are one
        mistake; else the predicted code of a missed object is 0, and so is the true
        code of a wrong prediction.
    """

    codes: np.ndarray
    is_right: np.ndarray
    missed: np.ndarray
    mistakes: list[tuple[int, int]]


@dataclasses.dataclass
class ObjectCounts:
    """Counts of objects over frames, by the code of their actor and action.

    Call `add` for each frame.

    Attributes:
      frames: {code: number of frames that show such an object}.
      videos: {code: names of the videos of these frames}.
      annotated: {code: number of true objects}.
      right: {code: number of true objects that are found}.
      predicted: {code: number of predicted objects, right or wrong}.
      mistakes: {name of a frame: [[true code, predicted code]]}, see `MatchedFrame`;
        only frames with mistakes.
    """

    frames: Counter = dataclasses.field(default_factory=Counter)
    videos: dict[int, set[str]] = dataclasses.field(default_factory=dict)
    annotated: Counter = dataclasses.field(default_factory=Counter)
    right: Counter = dataclasses.field(default_factory=Counter)
    predicted: Counter = dataclasses.field(default_factory=Counter)
    mistakes: dict[str, list] = dataclasses.field(default_factory=dict)

    def add(self, name: str, true_codes: np.ndarray, matched: MatchedFrame) -> None:
        """Add the objects of a frame to the counts.

        Args:
          name: name of the frame, `<VID>/<frame>`.
          true_codes: int [T], the codes of its true objects.
          matched: its predicted objects, matched with these.
        """
        shown = set(true_codes.tolist())
        self.frames.update(shown)
        for code in shown:
            self.videos.setdefault(code, set()).add(name.rsplit("/", 1)[0])
        self.annotated.update(true_codes.tolist())
        self.right.update(np.delete(true_codes, matched.missed).tolist())
        self.predicted.update(matched.codes.tolist())
        if matched.mistakes:
            self.mistakes[name] = np.array(matched.mistakes).tolist()

    def taken_for(self, code: int, labels: LabelSpace) -> dict[str, int]:
        """Count the objects of a pair that are taken for other pairs.

        Args:
          code: the code of the pair.
          labels: the label space of the codes.

        Returns:
          {name of another pair: number of objects that are taken for it}.
        """
        counts: Counter[str] = Counter()
        for mistakes in self.mistakes.values():
            for true_code, other in mistakes:
                if true_code == code and other:
                    counts[labels.spoken(other)] += 1
        return dict(counts)

    def pair(self, code: int, labels: LabelSpace) -> PairScores:
        """Return the scores of a pair, without its `taken_for`.

        Args:
          code: the code of the pair.
          labels: the label space of the codes.
        """
        return PairScores(
            name=labels.spoken(code),
            counts=Counts(
                annotated=self.annotated[code],
                right=self.right[code],
                predicted=self.predicted[code],
            ),
            videos=len(self.videos.get(code, ())),
            frames=self.frames[code],
        )


def overlaps(truth: TrueObjects, predicted: PredictedObjects) -> np.ndarray:
    """Compute the IoU of each predicted object with each true one.

    It is that of the masks, or of the boxes if the true object has no mask.

    Args:
      truth: the T true objects of a frame.
      predicted: its N predicted objects.

    Returns:
      float [N, T].
    """
    ious = iou(predicted.boxes[:, None], truth.boxes)
    masked = np.flatnonzero(truth.has_mask)
    if len(ious) and len(masked):
        true_masks = [truth.masks[i] for i in masked]
        crowd = np.zeros(len(masked), np.uint8)
        ious[:, masked] = rle_tools.iou(predicted.masks, true_masks, crowd)
    return ious


def match_frame(
    true_codes: np.ndarray, codes: np.ndarray, ious: np.ndarray
) -> MatchedFrame:
    """Match the predicted objects of a frame with the true ones of the same pair.

    The predicted objects choose in order. Each finds the true object with the highest
    IoU that no earlier one has found, if that IoU is 0.5 or more.

    Args:
      true_codes: int [T], the codes of the true objects.
      codes: int [N], the codes of the predicted objects, the best first.
      ious: float [N, T], the IoU of each predicted with each true object: of masks, or
        of boxes, see `overlaps`.
    """
    matches = match(ious * (codes[:, None] == true_codes))
    missed = np.setdiff1d(np.arange(len(true_codes)), matches)
    wrong = np.flatnonzero(matches < 0)
    overlapped = match(ious[np.ix_(wrong, missed)])
    mistakes = []
    for i, j in zip(wrong, overlapped):
        true_code = true_codes[missed[j]] if j >= 0 else 0
        mistakes.append((true_code, codes[i]))
    for code in np.delete(true_codes[missed], overlapped[overlapped >= 0]):
        mistakes.append((code, 0))
    return MatchedFrame(codes, matches >= 0, missed, sorted(mistakes, reverse=True))
