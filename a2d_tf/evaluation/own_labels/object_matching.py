"""Match predicted objects with annotated ones, frame by frame, and count mistakes.

An object is found if a predicted one of its pair has an IoU of 0.5 or more with it: of
the masks, or of the boxes if the object has no mask. Each predicted object finds at
most one, see `box_matching.match`; those that find none are wrong.
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
    """What is predicted in a frame, the best first.

    Attributes:
      codes: int [N], of pairs.
      boxes: float [N, 4], y1, x1, y2, x2.
      masks: N RLEs; only frames in which a true object has a mask need them.
    """

    codes: np.ndarray
    boxes: np.ndarray
    masks: list[dict]


class TrueObjects(NamedTuple):
    """What was annotated in a frame.

    Attributes:
      codes: int [T], of pairs.
      boxes: float [T, 4], y1, x1, y2, x2.
      has_mask: bool [T].
      masks: T RLEs; whatever for an object without a mask.
    """

    codes: np.ndarray
    boxes: np.ndarray
    has_mask: np.ndarray
    masks: list[Any]


class MatchedFrame(NamedTuple):
    """The predicted objects of a frame beside the true ones.

    Attributes:
      codes: int [N], of the predicted objects.
      is_right: bool [N], whether each finds an object.
      missed: indices of the true objects that are not found.
      mistakes: [(true code or 0, code or 0)], the highest true code first. A missed
        object and a wrong prediction that overlap are one mistake.
    """

    codes: np.ndarray
    is_right: np.ndarray
    missed: np.ndarray
    mistakes: list[tuple[int, int]]


@dataclasses.dataclass
class ObjectCounts:
    """Counts over frames; each is {code: number} if nothing else is said.

    Attributes:
      frames: frames that show a pair.
      videos: {code: names of the videos of these frames}.
      annotated: true objects.
      right: of these, those that are found.
      predicted: predicted objects, right or wrong.
      mistakes: {name of a frame: [[true code, code]]}, see `MatchedFrame`.
    """

    frames: Counter = dataclasses.field(default_factory=Counter)
    videos: dict[int, set[str]] = dataclasses.field(default_factory=dict)
    annotated: Counter = dataclasses.field(default_factory=Counter)
    right: Counter = dataclasses.field(default_factory=Counter)
    predicted: Counter = dataclasses.field(default_factory=Counter)
    mistakes: dict[str, list] = dataclasses.field(default_factory=dict)

    def add(self, name: str, true_codes: np.ndarray, matched: MatchedFrame) -> None:
        """Add a frame; `true_codes`, int [T], are those that were matched."""
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
        """Return {name of another pair: objects of a pair that are taken for it}."""
        counts: Counter[str] = Counter()
        for mistakes in self.mistakes.values():
            for true_code, other in mistakes:
                if true_code == code and other:
                    counts[labels.spoken(other)] += 1
        return dict(counts)

    def pair(self, code: int, labels: LabelSpace) -> PairScores:
        """Return the scores of a pair, without what its objects are taken for."""
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
    """Return the IoU of each predicted object with each true one: float [N, T]."""
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
    """Match the predicted objects of a frame with the true ones.

    Args:
      true_codes: int [T].
      codes: int [N], of the predicted objects, the best first.
      ious: float [N, T].
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
