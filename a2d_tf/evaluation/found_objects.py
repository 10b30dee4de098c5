"""Count which annotated objects are found, frame by frame, and how findings are wrong.

An object is found if a finding of its pair has an IoU of 0.5 or more with it: of the
masks, or of the boxes if the object has no mask. Each finding finds at most one object,
see `box_matching.match`; those that find none are wrong.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.box_matching import iou, match


class Findings(NamedTuple):
    """What was found in a frame, the best first.

    Attributes:
      codes: int [N], of pairs.
      boxes: float [N, 4], y1, x1, y2, x2.
      masks: N RLEs; only frames in which an object has a mask need them.
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


@dataclasses.dataclass
class FoundObjects:
    """Counts over frames.

    Attributes:
      frames: {code: number of frames that show it}.
      instances, found, findings: {code: number}, see `behaviour_counts.Counts`.
      mistakes: {name of a frame: [[true code, code]]}, see `compare`.
    """

    frames: Counter = dataclasses.field(default_factory=Counter)
    instances: Counter = dataclasses.field(default_factory=Counter)
    found: Counter = dataclasses.field(default_factory=Counter)
    findings: Counter = dataclasses.field(default_factory=Counter)
    mistakes: dict[str, list] = dataclasses.field(default_factory=dict)

    def add(self, name: str, true_codes: np.ndarray, comparison: Comparison) -> None:
        """Add a frame; `true_codes`, int [T], are those that were compared."""
        self.frames.update(set(true_codes.tolist()))
        self.instances.update(true_codes.tolist())
        self.found.update(np.delete(true_codes, comparison.missed).tolist())
        self.findings.update(comparison.codes.tolist())
        if comparison.mistakes:
            self.mistakes[name] = np.array(comparison.mistakes).tolist()

    def taken_for(self, code: int, labels: LabelSpace) -> dict[str, int]:
        """Return {name of another pair: objects of a pair that are taken for it}."""
        counts: Counter[str] = Counter()
        for mistakes in self.mistakes.values():
            for true_code, other in mistakes:
                if true_code == code and other:
                    counts[labels.spoken(other)] += 1
        return dict(counts)

    def row(self, code: int, labels: LabelSpace) -> dict[str, Any]:
        """Return the counts of a pair, and its name in sentences."""
        return {
            "instances": self.instances[code],
            "found": self.found[code],
            "findings": self.findings[code],
            "name": labels.spoken(code),
        }


class Comparison(NamedTuple):
    """The findings in a frame beside the true objects.

    Attributes:
      codes: int [N], of the findings.
      missed: indices of the true objects that are not found.
      mistakes: [(true code or 0, code or 0)], the highest true code first. A missed
        object and a wrong finding that overlap are one mistake.
    """

    codes: np.ndarray
    missed: np.ndarray
    mistakes: list[tuple[int, int]]


def overlaps(truth: TrueObjects, findings: Findings) -> np.ndarray:
    """Return the IoU of each finding with each true object: float [N, T]."""
    ious = iou(findings.boxes[:, None], truth.boxes)
    masked = np.flatnonzero(truth.has_mask)
    if len(ious) and len(masked):
        true_masks = [truth.masks[i] for i in masked]
        crowd = np.zeros(len(masked), np.uint8)
        ious[:, masked] = rle_tools.iou(findings.masks, true_masks, crowd)
    return ious


def compare(true_codes: np.ndarray, codes: np.ndarray, ious: np.ndarray) -> Comparison:
    """Match the findings in a frame to the true objects.

    Args:
      true_codes: int [T].
      codes: int [N], the best finding first.
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
    return Comparison(codes, missed, sorted(mistakes, reverse=True))
