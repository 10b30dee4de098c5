"""Scores over time: HOTA, IDF1 and AP of tubes, of followed objects in whole videos.

In an evaluation these are the videos whose frames are all recorded, with identities; instances of
one frame and the next are linked by the tracker of predictions, `ops/tracking.py`.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics import Metric, Split, Table, hota, tubes
from a2d_tf.evaluation.scenes import KINDS, Frame, Objects, classes_of, of_class
from a2d_tf.ops import tracking

if TYPE_CHECKING:
    from a2d_tf.evaluation import frames

_NAMES = (*hota.NAMES, "tube_ap", "tube_ap50")
_COLUMNS = dict(zip(_NAMES, "HOTA DetA AssA LocA IDF1 IDP IDR AP AP50".split()))


class OverTime(Metric):
    """The scores over time of the videos whose frames are all there."""

    section, place = "over_time", 5
    computed_by = ("evaluate", "tracks")

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
            parts = {name: found[name][chosen] for name in ("actor_scores", "action_scores")}
            parts.update(boxes=found["boxes"][chosen], codes=found["code"][chosen])
            parts.update(scores=found["score"][chosen], masks=[frame.rles[i] for i in chosen])
            true = Objects(tracks, truth.codes.astype(np.int64), truth.rles, np.ones(len(tracks)))
            kept = true, types.SimpleNamespace(**parts)
        self._videos.setdefault(truth.video, {})[truth.frame] = kept

    def result(self) -> dict:
        """Return {"over_time": see `metrics_of`}; empty where no video holds an object.

        A video counts if its frames are recorded without a gap, two or more, and every instance has
        an identity.
        """
        videos = self.split.videos
        if videos is None:
            whole = [
                [frames[number] for number in sorted(frames)]
                for frames in self._videos.values()
                if 1 < len(frames) == max(frames) - min(frames) + 1 and None not in frames.values()
            ]
            if not any(len(true.codes) for frames in whole for true, _ in frames):
                return {}
            videos = list(map(self._follow, whole))
        return {"over_time": metrics_of(videos, self.split.labels)}

    def _follow(self, frames):
        """Link the instances of a video's frames."""
        followed = tracking.follow(frames, self.split.labels, joint=self.split.joint)
        compared = []
        for true, instances, tracks, codes, scores in followed:
            rows = [i for i, mask in enumerate(instances.masks) if rle_tools.area(mask)]
            masks = [instances.masks[i] for i in rows]
            compared.append(Frame(true, Objects(tracks[rows], codes[rows], masks, scores[rows])))
        return compared

    @classmethod
    def rows(cls, metrics: dict) -> list[Table]:
        """Return a table with a row for each of KINDS."""
        found = metrics.get("over_time")
        if not found:
            return []
        title = (
            f"Over time, {found['videos']} videos with {found['frames']} frames: percent; AP of "
            "tubes"
        )
        return [Table(title, _COLUMNS, {kind: found[kind] for kind in KINDS})]


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
        tube_aps = tubes.precisions(videos, kind, labels)
        figures[kind] = {
            **{n: float(np.mean([row[n] for row in rows])) if rows else None for n in hota.NAMES},
            **{f"tube_{name}": value for name, value in tube_aps.items()},
        }
    return figures


def of_classes(
    videos: Sequence[Sequence[Frame]], kind: str, labels: LabelSpace
) -> dict[int, dict[str, float]]:
    """Return the `hota.figures` of each class of a kind that has truth, by the class's number."""
    codes = [frame.truth.codes for video in videos for frame in video]
    present = np.unique(classes_of(kind, np.concatenate([[0], *codes]).astype(int), labels))
    return {
        int(number): hota.figures(of_class(video, kind, number, labels) for video in videos)
        for number in present[present > 0]
    }
