"""Video-mAP of tracked objects, and frame-mAP beside it.

A tube is a track with its box in each frame. Video-mAP ranks whole tubes by their
scores, frame-mAP single boxes.

Source: Gkioxari and Malik, "Finding Action Tubes", CVPR 2015; the IoU of tubes is that
of Weinzaepfel et al., "Learning to Track for Spatio-Temporal Action Localization", ICCV
2015, as in the usual scripts for JHMDB and UCF101-24. The AP is the area under the
interpolated curve of precision over recall (VOC 2010).
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.boxes.average_precision import (
    ClassScorer,
    Curve,
    area_under_curve,
)
from a2d_tf.evaluation.boxes.box_matching import iou
from a2d_tf.evaluation.boxes.instance_tables import Truth
from a2d_tf.evaluation.boxes.scored_rois import ScoredRois
from a2d_tf.evaluation.metrics.detection import pair_aps
from a2d_tf.evaluation.metrics.metric import KINDS
from a2d_tf.evaluation.metrics.tracks import ComparedFrame, Objects

THRESHOLDS = {"video_map20": 0.2, "video_map50": 0.5}
"""{name of a figure: the least IoU of two tubes that match}."""


@dataclasses.dataclass
class Tube:
    """A track in one class, in the frames in which it has a score in this class.

    Attributes:
      video: a key of the video; tubes of different videos do not match.
      boxes: {number of a frame: float [4], (y1, x1, y2, x2) in pixels of the video}.
      scores: {number of a frame: the track's score in the class}.
    """

    video: Hashable
    boxes: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    scores: dict[int, float] = dataclasses.field(default_factory=dict)

    def score(self) -> float:
        """Return the score of the tube, the mean over its frames."""
        return float(np.mean(list(self.scores.values())))

    def iou(self, other: Tube) -> float:
        """Return the IoU of two tubes, in [0, 1].

        It is the mean IoU of their boxes over the frames of either tube; in a frame
        that only one tube has, the IoU is 0.

        Args:
          other: another tube of the video.
        """
        shared = sorted(self.boxes.keys() & other.boxes.keys())
        boxes = np.array([self.boxes[number] for number in shared]).reshape(-1, 4)
        others = np.array([other.boxes[number] for number in shared]).reshape(-1, 4)
        either = self.boxes.keys() | other.boxes.keys()
        return float(iou(boxes, others).sum() / len(either))


class _Tubes:
    """Collects the tubes of each class of a kind, from frame to frame."""

    def __init__(self, kind: str, labels: LabelSpace) -> None:
        self._kind = kind
        self._labels = labels
        # {class: {(video, track): tube}}
        self._by_class: dict[int, dict[tuple[int, int], Tube]] = {}

    def add(self, video: int, number: int, objects: Objects) -> None:
        """Add the objects of a frame to their tubes."""
        assert objects.boxes is not None  # video-mAP is one of boxes
        for label, scores in _class_scores(objects, self._kind, self._labels).items():
            for i in np.flatnonzero(scores):
                key = video, int(objects.tracks[i])
                tubes = self._by_class.setdefault(label, {})
                tube = tubes.setdefault(key, Tube(video))
                tube.boxes[number] = objects.boxes[i]
                tube.scores[number] = scores[i]

    def classes(self) -> Iterable[int]:
        """Return the classes that have tubes."""
        return self._by_class

    def of_class(self, label: int) -> list[Tube]:
        """Return the tubes of a class."""
        return list(self._by_class.get(label, {}).values())


def video_maps(videos: Sequence[Sequence[ComparedFrame]], labels: LabelSpace) -> dict:
    """Compute the video-mAP of actors, actions and pairs at IoU .2 and .5.

    A track is a tube of each class in which it has a score, in the frames in which it
    has one. Tubes choose in the order of their scores. Each takes, of the true tubes of
    its class and video that are left, the one with the highest IoU; it is a hit if that
    IoU reaches .2 or .5.

    Args:
      videos: the frames of each video, in order; their objects have boxes.
      labels: the label space of the codes.

    Returns:
      {"videos": their number, "frames": their number, and "actor", "action" and
      "joint": {"video_map20", "video_map50": percent}}. "joint" also has
      "frame_map50_tracks", the frame-mAP at IoU .5 when each box has the mean score of
      its track. All are means over the classes with true objects; None without any.
    """
    figures: dict = {"videos": len(videos), "frames": sum(map(len, videos))}
    for kind in KINDS:
        true = _Tubes(kind, labels)
        predicted = _Tubes(kind, labels)
        for video, frames in enumerate(videos):
            for number, frame in enumerate(frames):
                true.add(video, number, frame.truth)
                predicted.add(video, number, frame.predicted)
        aps = []
        frame_aps = []
        for label in true.classes():
            true_tubes = true.of_class(label)
            tubes = predicted.of_class(label)
            aps.append(_aps(true_tubes, tubes))
            if kind == "joint":
                by_frame = _aps(_cut_by_frame(true_tubes), _cut_by_frame(tubes))
                frame_aps.append(by_frame["video_map50"])
        figures[kind] = dict.fromkeys(THRESHOLDS)
        if aps:
            means = np.mean([list(of_class.values()) for of_class in aps], axis=0)
            figures[kind] = dict(zip(THRESHOLDS, means.tolist()))
        if kind == "joint":
            mean = float(np.mean(frame_aps)) if frame_aps else None
            figures[kind]["frame_map50_tracks"] = mean
    return figures


def _class_scores(
    objects: Objects, kind: str, labels: LabelSpace
) -> dict[int, np.ndarray]:
    """Return the score of each object in each class of a kind: {class: float [N]}.

    The score of an actor is the sum over its actions, that of an action the sum over
    its actors. Objects without `pair_scores` have their own score in the class of their
    code and 0 elsewhere.
    """
    scores = objects.pair_scores
    if scores is None:
        scores = np.zeros((len(objects.codes), *labels.valid.shape))
        actors, actions = labels.indices(objects.codes)
        scores[np.arange(len(actors)), actors, actions] = objects.scores
    if kind == "joint":
        return {int(labels.encode(x, y)): scores[:, x, y] for x, y in labels.pairs}
    summed_axis = 2 if kind == "actor" else 1
    return dict(enumerate(scores.sum(axis=summed_axis).T, 1))


def _aps(true: Sequence[Tube], predicted: Sequence[Tube]) -> dict[str, float]:
    """Return the AP of the tubes of one class, {name of a threshold: percent}."""
    ranked = sorted(predicted, key=Tube.score, reverse=True)
    true_in_video = collections.defaultdict(list)
    for i, tube in enumerate(true):
        true_in_video[tube.video].append(i)
    ious = []  # of each tube: {index of a true tube of its video: IoU}
    for tube in ranked:
        ious.append({i: true[i].iou(tube) for i in true_in_video[tube.video]})
    aps = {}
    for name, threshold in THRESHOLDS.items():
        taken: set[int] = set()
        hit_ranks = []
        for rank, row in enumerate(ious, 1):
            left = [i for i in row if i not in taken]
            best = max(left, key=row.__getitem__, default=None)
            if best is not None and row[best] >= threshold:
                taken.add(best)
                hit_ranks.append(rank)
        hit_counts = np.arange(1, len(hit_ranks) + 1)
        curve = Curve(hit_counts, np.array(hit_ranks, int), len(true))
        aps[name] = 100 * area_under_curve(curve)
    return aps


def _cut_by_frame(tubes: Iterable[Tube]) -> list[Tube]:
    """Cut tubes into tubes of a single frame, which match within their frame alone.

    Each has the mean score of the tube that it is cut from.
    """
    cut = []
    for tube in tubes:
        score = tube.score()
        for number, box in tube.boxes.items():
            cut.append(Tube((tube.video, number), {number: box}, {number: score}))
    return cut


def frame_map(rois: ScoredRois, truth: Truth, labels: LabelSpace) -> float | None:
    """Compute the frame-mAP of the pairs at IoU .5, in percent.

    It is the mean, over the pairs with true boxes, of the area under precision over
    recall. Every RoI has a score in every pair and passes non-maximum suppression, as
    for the paper's Table 2, which has VOC2007's AP instead.

    Args:
      rois: every RoI of the split.
      truth: the true boxes.
      labels: the label space of both.

    Returns:
      the percentage; None without true boxes.
    """
    scorer = ClassScorer.of(
        truth,
        frames=rois.frames,
        roi_frame=rois.roi_frame,
        measure=area_under_curve,
    )
    pairs = labels.pairs[np.isin(labels.codes, truth.codes)]
    aps = pair_aps(scorer, rois, labels, pairs)
    return float(np.mean(list(aps.values()))) if aps else None
