"""Scores over time: video-mAP, HOTA and IDF1, of followed objects in whole videos.

In an evaluation these are the videos whose frames are all recorded, with identities;
instances of one frame and the next are linked by the tracker of predictions,
`ops/tracking.py`. Where an instance has no mask, its video has a video-mAP alone.

Source of video-mAP: Gkioxari and Malik, "Finding Action Tubes", CVPR 2015; the IoU of
tubes is that of Weinzaepfel et al., "Learning to Track for Spatio-Temporal Action
Localization", ICCV 2015, as in the usual scripts for JHMDB and UCF101-24. The AP is the
area under the interpolated curve of precision over recall (VOC 2010).
"""

from __future__ import annotations

import collections
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import metrics
from a2d_tf.evaluation.box_data import Detections, Truth
from a2d_tf.evaluation.metrics import TRACKS, Metric, Split, Table, detection
from a2d_tf.evaluation.metrics.tracks import (
    NAMES,
    TRACK_KINDS,
    ComparedFrame,
    Objects,
    class_figures,
    classes_of,
    of_class,
)
from a2d_tf.ops import tracking

if TYPE_CHECKING:
    from a2d_tf.evaluation import evaluated_frames

_COLUMNS = dict(zip(NAMES, "HOTA DetA AssA LocA IDF1 IDP IDR".split()))
_MAPS = {"frame_map50": "frame-mAP .5", "frame_map50_tracks": "of tracks"}
_MAPS |= {"video_map20": "video-mAP .2", "video_map50": "video-mAP .5"}
THRESHOLDS = {"video_map20": 0.2, "video_map50": 0.5}  # least IoUs of tubes

_FOLLOWED = {  # what the tracker reads -> outputs of the network
    **{name: name for name in ("boxes", "actor_scores", "action_scores")},
    **{"codes": "code", "scores": "score"},
}


class OverTime(Metric):
    """The scores over time of the videos whose frames are all there."""

    section, place = "over_time", 5
    needs = (TRACKS,)

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        # {video: {number of a frame: its truth and instances; None without identities}}
        self._videos: dict[str, dict[int, Any]] = {}

    def update(self, frame: evaluated_frames.Frame) -> None:
        """Keep the instances of a frame, and its truth."""
        truth, found, kept = frame.truth, frame.instances, None
        tracks = np.full(len(truth.codes), -1) if truth.tracks is None else truth.tracks
        if tracks.min(initial=0) >= 0 and len(np.unique(tracks)) == len(tracks):
            chosen = np.flatnonzero(found.class_scores >= self.split.threshold)
            parts = {
                name: getattr(found, key)[chosen] for name, key in _FOLLOWED.items()
            }
            masks = [frame.rles[i] for i in chosen]
            codes, ones = truth.codes.astype(np.int64), np.ones(len(tracks))
            true = Objects(tracks, codes, truth.rles, ones, truth.boxes)
            kept = true, types.SimpleNamespace(**parts, masks=masks)
        self._videos.setdefault(truth.video, {})[truth.frame] = kept

    def result(self) -> dict:
        """Return {"video_map": see `video_maps`, "over_time": see `tracking_scores`}.

        A video counts if its frames are recorded without a gap, two or more, and every
        instance has an identity; for "over_time" also a mask. Empty where no such video
        holds an object.
        """
        whole = [
            [frames[number] for number in sorted(frames)]
            for frames in self._videos.values()
            if 1 < len(frames) == max(frames) - min(frames) + 1
            and None not in frames.values()
        ]
        if not any(len(true.codes) for frames in whole for true, _ in frames):
            return {}
        split, videos = self.split, list(map(self._follow, whole))
        figures = {"video_map": video_maps(videos, split.labels)}
        if split.detections is not None:
            joint = figures["video_map"]["joint"]
            joint["frame_map50"] = frame_map(
                split.detections, split.truth, split.labels
            )
        with_masks = [
            v for v in videos if all(rle_tools.area(f.truth.masks).all() for f in v)
        ]
        if with_masks:
            figures["over_time"] = tracking_scores(with_masks, split.labels)
        return figures

    def _follow(self, frames):
        labels, joint = self.split.labels, self.split.joint
        compared = []
        for true, found, tracks, codes, scores, *_ in tracking.follow(
            frames, labels, joint=joint
        ):
            rows = [
                i
                for i, mask in enumerate(found.masks)
                if tracks[i] and rle_tools.area(mask)
            ]
            actions = found.action_scores[rows].astype(float)
            if joint:  # they contain p(actor), see `tracking.read_label`
                actions /= np.maximum(actions.sum(axis=1, keepdims=True), 1e-30)
            pairs = found.actor_scores[rows, :, None] * actions[:, None] * labels.valid
            masks, boxes = [found.masks[i] for i in rows], found.boxes[rows]
            objects = Objects(
                tracks[rows], codes[rows], masks, scores[rows], boxes, pairs
            )
            compared.append(ComparedFrame(true, objects))
        return compared

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return tables with a row for each kind."""
        counts, tables = (
            "{videos} videos with {frames} frames, means over tested classes",
            [],
        )
        for name, title, columns in (
            ("over_time", f"Over time, {counts}: percent", _COLUMNS),
            ("video_map", f"mAP at IoU .2 and .5, {counts}: percent", _MAPS),
        ):
            found = metrics.get(name)
            if found:
                rows = {kind: found[kind] for kind in TRACK_KINDS if kind in found}
                tables.append(Table(title.format_map(found), columns, rows))
        return tables


def tracking_scores(
    videos: Sequence[Sequence[ComparedFrame]], labels: LabelSpace
) -> dict:
    """Score videos over time.

    HOTA and IDF1, with their parts, are means over the classes of a kind that have
    truth. The classes of "joint" are pairs; of "any", all objects are of one class, so
    that labels do not count.

    Returns:
      {"videos", "frames": numbers, and for each of TRACK_KINDS {each of NAMES: percent;
      None where there is nothing to score}}.
    """
    figures: dict = {"videos": len(videos), "frames": sum(map(len, videos))}
    for kind in TRACK_KINDS:
        rows = of_classes(videos, kind, labels).values()
        figures[kind] = {
            name: float(np.mean([row[name] for row in rows])) if rows else None
            for name in NAMES
        }
    return figures


def of_classes(
    videos: Sequence[Sequence[ComparedFrame]], kind: str, labels: LabelSpace
) -> dict[int, dict[str, float]]:
    """Return the `class_figures` of each class of a kind that has truth, by the
    class's number.
    """
    codes = [frame.truth.codes for video in videos for frame in video]
    present = np.unique(
        classes_of(kind, np.concatenate([[0], *codes]).astype(int), labels)
    )
    return {
        int(number): class_figures(
            of_class(video, kind, number, labels) for video in videos
        )
        for number in present[present > 0]
    }


def area(true: np.ndarray, found: np.ndarray, positives: Any) -> Any:
    """Compute the area under precision over recall; arguments as of
    `average_precision`.

    Precision at a recall is the best at this or a higher recall.
    """
    return detection.best_precision(true, found).sum(axis=-1) / np.maximum(positives, 1)


def _class_scores(objects, kind, labels):
    """Return the score of each object in each class of one of `metrics.KINDS`: {class:
    float [N]}.

    The score of an actor is the sum over its actions, that of an action the sum over
    its actors. Objects without `pair_scores` have their own score in the class of their
    code and 0 elsewhere.
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
    """Return the mean IoU of two tubes over the frames of either, 0 where only one
    has a box.
    """
    shared = sorted(one.keys() & other.keys())
    sides = (
        np.array([tube[n][1] for n in shared]).reshape(-1, 4) for tube in (one, other)
    )
    return float(detection.iou(*sides).sum() / len(one.keys() | other.keys()))


def video_maps(videos: Sequence[Sequence[ComparedFrame]], labels: LabelSpace) -> dict:
    """Compute the video-mAP of pairs, actors and actions at each of THRESHOLDS.

    A track is a tube of each class in which it has a score, in the frames where it has;
    the score of a tube is the mean over them. The best tube takes, of the true ones of
    its class in its video that are left, the one with the highest IoU, and is a hit if
    that reaches the threshold.

    Returns:
      {"videos", "frames": numbers, and for each kind {name of a threshold: percent}; of
      pairs also "frame_map50_tracks": the frame-mAP at IoU .5 where a box has the mean
      score of its track}: means over the classes with truth, None where there is none.
    """
    figures: dict = {"videos": len(videos), "frames": sum(map(len, videos))}
    for kind in metrics.KINDS:
        true, found = _tubes(videos, kind, labels)
        aps = [_aps(tubes, found.get(label, {})) for label, tubes in true.items()]
        means = np.mean(aps, axis=0).tolist() if aps else [None] * len(THRESHOLDS)
        figures[kind] = dict(zip(THRESHOLDS, means))
    # The tubes of the last kind, the pairs, frame by frame.
    aps = [
        _aps(_by_frame(t), _by_frame(found.get(label, {})))[-1]
        for label, t in true.items()
    ]
    figures["joint"]["frame_map50_tracks"] = float(np.mean(aps)) if aps else None
    return figures


def _means(tubes):
    """Return the mean score of each tube, by its key."""
    return {
        key: np.mean([score for score, _ in tube.values()])
        for key, tube in tubes.items()
    }


def _by_frame(tubes):
    """Return each box of some tubes as a tube of its frame alone, with its tube's
    mean score.
    """
    means = _means(tubes)
    return {
        ((video, number), track): {number: (means[video, track], box)}
        for (video, track), tube in tubes.items()
        for number, (_, box) in tube.items()
    }


def _tubes(videos, kind, labels):
    """Return the true and the found tubes: {class: {(video, track): {frame: (score,
    box)}}}.
    """
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
    ranked = sorted(found, key=_means(found).__getitem__, reverse=True)
    in_video = collections.defaultdict(list)
    for key in true:
        in_video[key[0]].append(key)
    ious = [
        {k: _tube_iou(true[k], found[key]) for k in in_video[key[0]]} for key in ranked
    ]
    aps = []
    for threshold in THRESHOLDS.values():
        taken: set = set()
        places = []  # of hits
        for place, row in enumerate(ious, 1):
            best = max(row.keys() - taken, key=row.__getitem__, default=None)
            if best is not None and row[best] >= threshold:
                taken.add(best)
                places.append(place)
        until = np.arange(1, len(places) + 1), np.array(places, int)
        aps.append(100 * area(*until, len(true)))
    return aps


def frame_map(detections: Detections, truth: Truth, labels: LabelSpace) -> float | None:
    """Compute the frame-mAP of the pairs at IoU .5, in percent: the mean over those
    with truth.

    Every RoI has a score in every pair and passes NMS, as for Table 2, of which the AP
    differs.
    """
    classes = detection.Classes(detections, truth, measure=area)
    pairs = labels.pairs[np.isin(labels.codes, truth.codes)]
    aps = detection.pair_aps(classes, detections, labels, pairs)
    return float(np.mean([*aps.values()])) if aps else None
