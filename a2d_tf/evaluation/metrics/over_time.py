"""Scores over time: video-mAP, HOTA and IDF1, of followed objects in whole videos.

In an evaluation these are the videos whose frames are all recorded, with identities; instances of
one frame and the next are linked by the tracker of predictions, `ops/tracking.py`. Where an
instance has no mask, its video has a video-mAP alone.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics import Metric, Split, Table, video_map
from a2d_tf.evaluation.tracks import (
    KINDS,
    NAMES,
    Frame,
    Objects,
    class_figures,
    classes_of,
    of_class,
)
from a2d_tf.ops import tracking

if TYPE_CHECKING:
    from a2d_tf.evaluation import frames

_COLUMNS = dict(zip(NAMES, "HOTA DetA AssA LocA IDF1 IDP IDR".split()))
_MAPS = {"frame_map50": "frame-mAP .5", "frame_map50_tracks": "of tracks"}
_MAPS |= {"video_map20": "video-mAP .2", "video_map50": "video-mAP .5"}
_XY = [1, 0, 3, 2]  # columns of x1, y1, x2, y2 in y1, x1, y2, x2

_FOLLOWED = {  # what the tracker reads -> outputs of the network
    **{name: name for name in ("boxes", "actor_scores", "action_scores")},
    **{"codes": "code", "scores": "score"},
}


class OverTime(Metric):
    """The scores over time of the videos whose frames are all there."""

    section, place = "over_time", 5

    def __init__(self, split: Split):
        super().__init__(split)
        # {video: {number of a frame: its truth and instances; None without identities}}
        self._videos: dict[str, dict[int, Any]] = {}

    def update(self, frame: frames.Frame) -> None:
        """Keep the instances of a frame, and its truth."""
        truth, found, kept = frame.truth, frame.instances, None
        tracks = np.full(len(truth.codes), -1) if truth.tracks is None else truth.tracks
        if tracks.min(initial=0) >= 0 and len(np.unique(tracks)) == len(tracks):
            chosen = np.flatnonzero(found["class_score"] >= self.split.threshold)
            parts = {name: found[key][chosen] for name, key in _FOLLOWED.items()}
            masks = [frame.rles[i] for i in chosen]
            codes, ones = truth.codes.astype(np.int64), np.ones(len(tracks))
            true = Objects(tracks, codes, truth.rles, ones, truth.boxes[:, _XY])
            kept = true, types.SimpleNamespace(**parts, masks=masks)
        self._videos.setdefault(truth.video, {})[truth.frame] = kept

    def result(self) -> dict:
        """Return {"video_map": see `video_map.metrics_of`, "over_time": see `metrics_of`}.

        A video counts if its frames are recorded without a gap, two or more, and every instance has
        an identity; for "over_time" also a mask. Empty where no such video holds an object.
        """
        whole = [
            [frames[number] for number in sorted(frames)]
            for frames in self._videos.values()
            if 1 < len(frames) == max(frames) - min(frames) + 1 and None not in frames.values()
        ]
        if not any(len(true.codes) for frames in whole for true, _ in frames):
            return {}
        split, videos = self.split, list(map(self._follow, whole))
        figures = {"video_map": video_map.metrics_of(videos, split.labels)}
        if split.detections is not None:
            joint = figures["video_map"]["joint"]
            joint["frame_map50"] = video_map.frame_map(split.detections, split.truth, split.labels)
        with_masks = [
            v for v in videos if all(rle_tools.area(frame.truth.masks).all() for frame in v)
        ]
        if with_masks:
            figures["over_time"] = metrics_of(with_masks, split.labels)
        return figures

    def _follow(self, frames):
        """Link the instances of a video's frames."""
        labels, joint = self.split.labels, self.split.joint
        compared = []
        for true, found, tracks, codes, scores, _ in tracking.follow(frames, labels, joint=joint):
            rows = [i for i, mask in enumerate(found.masks) if rle_tools.area(mask)]
            actions = found.action_scores[rows].astype(float)
            if joint:  # they contain p(actor), see `tracking.read_label`
                actions /= np.maximum(actions.sum(axis=1, keepdims=True), 1e-30)
            pairs = found.actor_scores[rows, :, None] * actions[:, None] * labels.valid
            masks, boxes = [found.masks[i] for i in rows], found.boxes[rows][:, _XY]
            objects = Objects(tracks[rows], codes[rows], masks, scores[rows], boxes, pairs)
            compared.append(Frame(true, objects))
        return compared

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return tables with a row for each kind."""
        counts, tables = "{videos} videos with {frames} frames", []
        for name, title, columns in (
            ("over_time", f"Over time, {counts}: percent", _COLUMNS),
            ("video_map", f"mAP at IoU .2 and .5, {counts}: percent", _MAPS),
        ):
            found = metrics.get(name)
            if found:
                rows = {kind: found[kind] for kind in KINDS if kind in found}
                tables.append(Table(title.format_map(found), columns, rows))
        return tables


def metrics_of(videos: Sequence[Sequence[Frame]], labels: LabelSpace) -> dict:
    """Score videos over time.

    HOTA and IDF1, with their parts, are means over the classes of a kind that have truth. The
    classes of "joint" are pairs; of "any", all objects are of one class, so that labels do not
    count.

    Returns:
      {"videos", "frames": numbers, and for each of KINDS {each of NAMES: percent; None where there
      is nothing to score}}.
    """
    figures: dict = {"videos": len(videos), "frames": sum(map(len, videos))}
    for kind in KINDS:
        rows = of_classes(videos, kind, labels).values()
        figures[kind] = {
            name: float(np.mean([row[name] for row in rows])) if rows else None for name in NAMES
        }
    return figures


def of_classes(
    videos: Sequence[Sequence[Frame]], kind: str, labels: LabelSpace
) -> dict[int, dict[str, float]]:
    """Return the `class_figures` of each class of a kind that has truth, by the class's number."""
    codes = [frame.truth.codes for video in videos for frame in video]
    present = np.unique(classes_of(kind, np.concatenate([[0], *codes]).astype(int), labels))
    return {
        int(number): class_figures(of_class(video, kind, number, labels) for video in videos)
        for number in present[present > 0]
    }
