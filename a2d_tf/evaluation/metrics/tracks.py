"""Videos of followed objects: the truth beside the prediction, frame by frame."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics.metric import KINDS

TRACK_KINDS = ("any", *KINDS)
"""Kinds of classes; of "any", all objects are of one class."""


def classes_of(kind: str, codes: np.ndarray, labels: LabelSpace) -> np.ndarray:
    """Return the class of each code, of one of TRACK_KINDS: int64 [...].

    The class of background is 0.
    """
    actors, actions = labels.split(codes)
    of_kind = {"any": codes > 0, "actor": actors, "action": actions, "joint": codes}
    return of_kind[kind].astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Objects:
    """The true or the predicted objects in one frame; a track occurs once.

    Attributes:
      tracks: int64 [N], identities in the video.
      codes: int64 [N], pairs of actor and action.
      masks: N COCO RLEs of the frame's size; an object that has a box alone has an
        empty one.
      scores: float64 [N]; of the truth all 1.
      boxes: float [N, 4], y1, x1, y2, x2; only video-mAP needs them.
      pair_scores: float [N, |X|, |Y|], the score of each valid pair, 0 of the others;
        None if an object has one pair.
    """

    tracks: np.ndarray
    codes: np.ndarray
    masks: list[dict]
    scores: np.ndarray
    boxes: np.ndarray | None = None
    pair_scores: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class ComparedFrame:
    """A frame: N true objects and M predicted ones."""

    truth: Objects
    predicted: Objects

    @functools.cached_property
    def iou(self) -> np.ndarray:
        """The intersection over union of each pair of masks: float64 [N, M]."""
        true_masks = self.truth.masks
        predicted_masks = self.predicted.masks
        crowd = np.zeros(len(predicted_masks), np.uint8)
        ious = rle_tools.iou(true_masks, predicted_masks, crowd)
        return np.reshape(ious, [len(true_masks), len(predicted_masks)])
