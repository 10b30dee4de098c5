"""Tracked objects of a video, true ones beside predicted ones, frame by frame."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics.metric import KINDS

TRACK_KINDS = ("any", *KINDS)
"""The kinds of classes over time; in "any" all objects are of one class."""


def classes_of(kind: str, codes: np.ndarray, labels: LabelSpace) -> np.ndarray:
    """Return the class of each code.

    Args:
      kind: which classes: "actor", "action", "joint" (their pairs), or "any".
      codes: int [...], codes of an actor and an action, 0 for background.
      labels: the label space of the codes.

    Returns:
      int64 [...]: for "actor" and "action" their numbers from 1, for "joint" the codes,
      for "any" 1; 0 for background.
    """
    actors, actions = labels.split(codes)
    of_kind = {"any": codes > 0, "actor": actors, "action": actions, "joint": codes}
    return of_kind[kind].astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Objects:
    """The N true or the N predicted objects of one frame, each of another track.

    Attributes:
      tracks: int64 [N], the identity of each object in its video.
      codes: int64 [N], the code of each object's actor and action.
      masks: N COCO RLEs of the frame's size; that of an object with a box alone is
        empty.
      scores: float64 [N], the score of each object; 1 for true ones.
      boxes: float [N, 4], (y1, x1, y2, x2) in pixels of the video; None if only the
        masks are scored. Video-mAP needs boxes.
      pair_scores: float [N, |X|, |Y|], the score of each valid pair of an actor and an
        action, and 0 of other pairs; None if each object has the pair of its code
        alone.
    """

    tracks: np.ndarray
    codes: np.ndarray
    masks: list[dict]
    scores: np.ndarray
    boxes: np.ndarray | None = None
    pair_scores: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class ComparedFrame:
    """The objects of one frame, true and predicted.

    Attributes:
      truth: the N true objects.
      predicted: the M predicted objects.
    """

    truth: Objects
    predicted: Objects

    @functools.cached_property
    def iou(self) -> np.ndarray:
        """The IoU of each true mask with each predicted one: float64 [N, M]."""
        true_masks = self.truth.masks
        predicted_masks = self.predicted.masks
        crowd = np.zeros(len(predicted_masks), np.uint8)
        ious = rle_tools.iou(true_masks, predicted_masks, crowd)
        return np.reshape(ious, [len(true_masks), len(predicted_masks)])
