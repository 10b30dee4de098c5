"""frame-mAP and video-mAP, the scores of actions in whole videos, from boxes alone.

A tube is a track with the score of one class. Source: Gkioxari and Malik, "Finding Action Tubes",
CVPR 2015; the IoU of tubes is that of Weinzaepfel et al., "Learning to Track for Spatio-Temporal
Action Localization", ICCV 2015, as in the usual scripts for JHMDB and UCF101-24. The AP is the area
under the interpolated curve of precision over recall (VOC 2010).
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.box_data import Detections, Truth
from a2d_tf.evaluation.metrics import KINDS, detection
from a2d_tf.evaluation.tracks import Frame

THRESHOLDS = {"video_map20": 0.2, "video_map50": 0.5}  # least IoUs of tubes


def area(hits: np.ndarray, positives: int) -> float:
    """Compute the area under precision over recall; arguments as of `average_precision`.

    Precision at a recall is the best at this or a higher recall.
    """
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[hits].sum() / max(positives, 1))


def _class_scores(objects, kind, labels):
    """Return the score of each object in each class of one of KINDS: {class: float [N]}.

    The score of an actor is the sum over its actions, that of an action the sum over its actors.
    Objects without `pair_scores` have their own score in the class of their code and 0 elsewhere.
    """
    scores = objects.pair_scores
    if scores is None:
        scores = np.zeros((len(objects.codes), *labels.valid.shape))
        actors, actions = labels.split(objects.codes)
        scores[np.arange(len(actors)), actors - 1, actions - 1] = objects.scores
    if kind == "joint":
        return {int(labels.encode(x, y)): scores[:, x, y] for x, y in labels.pairs}
    return dict(enumerate(scores.sum(axis=2 if kind == "actor" else 1).T, 1))


def _tube_iou(one, other):
    """Return the mean IoU of two tubes over the frames of either, 0 where only one has a box."""
    shared = sorted(one.keys() & other.keys())
    sides = (np.array([tube[n][1] for n in shared]).reshape(-1, 4) for tube in (one, other))
    return float(detection.iou(*sides).sum() / len(one.keys() | other.keys()))


def metrics_of(videos: Sequence[Sequence[Frame]], labels: LabelSpace) -> dict:
    """Compute the video-mAP of each of KINDS at each of THRESHOLDS, and the pairs' of tracks.

    A track is a tube of each class in which it has a score, in the frames where it has; the score
    of a tube is the mean over them. The best tube takes, of the true ones of its class in its video
    that are left, the one with the highest IoU, and is a hit if that reaches the threshold.

    Returns:
      {"videos", "frames": numbers, and for each of KINDS {name of a threshold: percent}; of pairs
      also "frame_map50_tracks": the frame-mAP at IoU .5 where a box has the mean score of its
      track}: means over the classes with truth, None where there is none.
    """
    figures: dict = {"videos": len(videos), "frames": sum(map(len, videos))}
    for kind in KINDS:
        true, found = _tubes(videos, kind, labels)
        aps = [_aps(tubes, found.get(label, {})) for label, tubes in true.items()]
        means = np.mean(aps, axis=0).tolist() if aps else [None] * len(THRESHOLDS)
        figures[kind] = dict(zip(THRESHOLDS, means))
    # The tubes of the last kind, the pairs, frame by frame.
    aps = [_aps(_by_frame(t), _by_frame(found.get(label, {})))[-1] for label, t in true.items()]
    figures["joint"]["frame_map50_tracks"] = float(np.mean(aps)) if aps else None
    return figures


def _means(tubes):
    """Return the mean score of each tube, by its key."""
    return {key: np.mean([score for score, _ in tube.values()]) for key, tube in tubes.items()}


def _by_frame(tubes):
    """Return each box of some tubes as a tube of its frame alone, with its tube's mean score."""
    means = _means(tubes)
    return {
        ((video, number), track): {number: (means[video, track], box)}
        for (video, track), tube in tubes.items()
        for number, (_, box) in tube.items()
    }


def _tubes(videos, kind, labels):
    """Return the true and the found tubes: {class: {(video, track): {frame: (score, box)}}}."""
    sides: tuple[dict, dict] = ({}, {})
    for video, frames in enumerate(videos):
        for number, frame in enumerate(frames):
            for side, objects in zip(sides, (frame.truth, frame.found)):
                for label, scores in _class_scores(objects, kind, labels).items():
                    for i in np.flatnonzero(scores):
                        key = video, int(objects.tracks[i])
                        tube = side.setdefault(label, {}).setdefault(key, {})
                        tube[number] = scores[i], objects.boxes[i]
    return sides


def _aps(true, found):
    """The AP of one class at each of THRESHOLDS, percent."""
    means = _means(found)
    ranked = sorted(found, key=lambda key: -means[key])
    in_video = collections.defaultdict(list)
    for key in true:
        in_video[key[0]].append(key)
    ious = [
        {other: _tube_iou(true[other], found[key]) for other in in_video[key[0]]} for key in ranked
    ]
    aps = []
    for threshold in THRESHOLDS.values():
        taken: set = set()
        hits = np.zeros(len(ranked), bool)
        for i, row in enumerate(ious):
            best = max(row.keys() - taken, key=row.__getitem__, default=None)
            hits[i] = best is not None and row[best] >= threshold
            if hits[i]:
                taken.add(best)
        aps.append(100 * area(hits, len(true)))
    return aps


def frame_map(detections: Detections, truth: Truth, labels: LabelSpace) -> float | None:
    """Compute the frame-mAP of the pairs at IoU .5, in percent: the mean over those with truth.

    Every RoI has a score in every pair and passes NMS, as for Table 2, of which the AP differs.
    """
    classes = detection.Classes(detections, truth, measure=area)
    pairs = labels.pairs[np.isin(labels.codes, truth.codes)]
    aps = detection.pair_aps(classes, detections, labels, pairs)
    return float(np.mean([*aps.values()])) if aps else None
