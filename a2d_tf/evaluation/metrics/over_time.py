"""Scores over time: video-mAP, HOTA, IDF1 and AP of tubes, of followed objects in whole videos.

In an evaluation these are the videos whose frames are all recorded, with identities; instances of
one frame and the next are linked by the tracker of predictions, `ops/tracking.py`. Where an
instance has no mask, its video has a video-mAP alone.

Source of the AP of tubes: Yang et al., "Video Instance Segmentation", ICCV 2019 (YouTube-VIS).
"""

from __future__ import annotations

import collections
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as rle_tools
from pycocotools.cocoeval import COCOeval

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics import Metric, Split, Table, coco, video_map
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

_COLUMNS = dict(
    zip((*NAMES, "tube_ap", "tube_ap50"), "HOTA DetA AssA LocA IDF1 IDP IDR AP AP50".split())
)
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
            joint["frame_map50_tracks"] = video_map.frame_map_of_tracks(videos, split.labels)
        with_masks = [v for v in videos if all(frame.truth.areas.all() for frame in v)]
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
            ("over_time", f"Over time, {counts}: percent; AP of tubes", _COLUMNS),
            ("video_map", f"mAP at IoU .2 and .5, {counts}: percent", _MAPS),
        ):
            found = metrics.get(name)
            if found:
                rows = {kind: found[kind] for kind in KINDS if kind in found}
                tables.append(Table(title.format_map(found), columns, rows))
        return tables


def metrics_of(videos: Sequence[Sequence[Frame]], labels: LabelSpace) -> dict:
    """Score videos over time.

    HOTA and IDF1, with their parts, and the AP of tubes are means over the classes of a kind that
    have truth. The classes of "joint" are pairs; of "any", all objects are of one class, so that
    labels do not count.

    Returns:
      {"videos", "frames": numbers, and for each of KINDS {"hota", "det_a", "ass_a", "loc_a",
      "idf1", "idp", "idr", "tube_ap", "tube_ap50"}}: percent; None where there is nothing to score.
    """
    figures: dict = {"videos": len(videos), "frames": sum(map(len, videos))}
    for kind in KINDS:
        rows = of_classes(videos, kind, labels).values()
        figures[kind] = {
            **{n: float(np.mean([row[n] for row in rows])) if rows else None for n in NAMES},
            **{f"tube_{n}": ap for n, ap in tube_aps(videos, kind, labels).items()},
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


def tube_aps(
    videos: Sequence[Sequence[Frame]], kind: str, labels: LabelSpace
) -> dict[str, float | None]:
    """Compute the AP of tubes of the classes of a kind, in percent.

    A tube is what a track shows of one class in the scored frames of a video. The IoU of two tubes
    is the sum over these frames of the intersections of their masks over that of their unions. The
    score of a predicted tube is the mean over its frames. All else is COCO's AP, a video in the
    place of an image: the best 100 tubes of a class in a video, the mean over the classes with
    truth.

    Returns:
      {"ap", "ap50"} at IoU .5:.95 and .5; None where no object is true.
    """
    sides: tuple[dict, dict] = ({}, {})  # {(video, class, track): [(pixels, score), ...]}
    shared: collections.Counter = collections.Counter()  # {(true tube, predicted tube): pixels}
    for i, frames in enumerate(videos):
        for frame in frames:
            tubes = []
            for seen, side in zip(sides, (frame.truth, frame.found)):
                numbers = classes_of(kind, side.codes, labels).tolist()
                tubes.append([(i, *tube) for tube in zip(numbers, side.tracks.tolist())])
                for tube, *shown in zip(tubes[-1], side.areas.tolist(), side.scores.tolist()):
                    seen.setdefault(tube, []).append(shown)
            for row, column in zip(*np.nonzero(frame.overlaps)):
                shared[tubes[0][row], tubes[1][column]] += int(frame.overlaps[row, column])
    categories = sorted({number for _, number, _ in sides[0]})
    if not categories:
        return {"ap": None, "ap50": None}
    images = [{"id": i} for i in range(len(videos))]
    true, found = (coco.index(images, _annotations(seen, categories), categories) for seen in sides)
    figures = coco.precisions(_TubeEvaluation(true, found, shared), {"all": [0, np.inf]})
    return {name: figures[name] for name in ("ap", "ap50")}


def _annotations(seen, categories):
    """Return annotations of pycocotools, with their tubes."""
    return [
        {
            "id": number,
            "image_id": tube[0],
            "category_id": tube[1],
            "tube": tube,
            "area": sum(area for area, _ in rows),
            "iscrowd": 0,
            "score": float(np.mean([score for _, score in rows])),
        }
        for number, (tube, rows) in enumerate(seen.items(), 1)
        if tube[1] in categories
    ]


class _TubeEvaluation(COCOeval):
    """pycocotools' evaluation with the IoU of tubes in the place of that of masks.

    Args:
      true, found: objects of pycocotools, of `_annotations`.
      shared: {(true tube, predicted tube): pixels}.
    """

    def __init__(self, true, found, shared):
        super().__init__(true, found, "bbox")  # the kind whose annotations are left as they are
        self._shared = shared

    def computeIoU(self, imgId: int, catId: int) -> list | np.ndarray:
        """Return the IoU of each (predicted, true) tube, the best predicted first."""
        found = sorted(self._dts[imgId, catId], key=lambda row: -row["score"])
        found = found[: self.params.maxDets[-1]]
        true = self._gts[imgId, catId]
        if not found or not true:
            return []
        overlaps = [[self._shared[t["tube"], f["tube"]] for t in true] for f in found]
        areas = [[t["area"] + f["area"] for t in true] for f in found]
        return np.array(overlaps) / (np.array(areas) - overlaps)
