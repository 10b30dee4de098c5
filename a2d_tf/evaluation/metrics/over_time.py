"""Scores over time: HOTA, IDF1 and AP of tubes, of followed objects in whole videos.

In an evaluation these are the videos whose frames are all recorded, with identities; instances of
one frame and the next are linked by the tracker of predictions, `ops/tracking.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import coco_results
from a2d_tf.evaluation.metrics import Metric, Split, Table, hota, tubes
from a2d_tf.evaluation.scenes import KINDS, Frame, Objects, Video, classes_of, of_class
from a2d_tf.ops import tracking

if TYPE_CHECKING:
    from a2d_tf.evaluation import frames

_COLUMNS = {
    "hota": "HOTA",
    "det_a": "DetA",
    "ass_a": "AssA",
    "loc_a": "LocA",
    "idf1": "IDF1",
    "idp": "IDP",
    "idr": "IDR",
    "tube_ap": "AP",
    "tube_ap50": "AP50",
}


@dataclasses.dataclass(frozen=True)
class _Instances:
    """The instances of a frame, as `tracking.Instances` has them."""

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    masks: list[dict]


class OverTime(Metric):
    """The scores over time of the videos whose frames are all there."""

    section, place = "over_time", 5
    computed_by = ("evaluate", "tracks")

    def __init__(self, split: Split):
        super().__init__(split)
        self._videos: dict[str, dict[int, tuple[Objects, _Instances]]] = {}
        self._without: set[str] = set()  # videos with an instance that has no identity of its own

    def update(self, frame: frames.Frame) -> None:
        """Keep the instances of a frame, and its truth."""
        truth, found = frame.truth, frame.instances
        tracks = np.full(len(truth.codes), -1) if truth.tracks is None else truth.tracks
        if (tracks < 0).any() or len(np.unique(tracks)) < len(tracks):
            self._without.add(truth.video)
        if truth.video in self._without:
            self._videos.pop(truth.video, None)
            return
        chosen = np.flatnonzero(found["class_score"] >= self.split.threshold)
        names = ("boxes", "code", "score", "actor_scores", "action_scores")
        parts = [found[name][chosen] for name in names]
        instances = _Instances(*parts, [frame.rles[i] for i in chosen])  # type: ignore[call-arg]
        true = Objects(tracks, truth.codes.astype(np.int64), truth.rles, np.ones(len(tracks)))
        self._videos.setdefault(truth.video, {})[truth.frame] = true, instances

    def result(self) -> dict:
        """Return {"over_time": see `metrics_of`}; empty where no video holds an object.

        A video counts if its frames are recorded without a gap, two or more, and every instance has
        an identity.
        """
        videos = self.split.videos
        if videos is None:
            whole = {
                name: [frames[number] for number in sorted(frames)]
                for name, frames in self._videos.items()
                if len(frames) > 1 and max(frames) - min(frames) + 1 == len(frames)
            }
            if not any(len(true.codes) for frames in whole.values() for true, _ in frames):
                return {}
            videos = [self._follow(name, frames) for name, frames in whole.items()]
        return {"over_time": metrics_of(videos, self.split.labels)}

    def _follow(self, name, frames):
        """Link the instances of a video's frames."""
        followed = tracking.follow(frames, self.split.labels, joint=self.split.joint)
        compared = []
        for true, instances, tracks, codes, scores in followed:
            rows = [i for i, mask in enumerate(instances.masks) if coco_results.area(mask)]
            masks = [instances.masks[i] for i in rows]
            found = Objects(tracks[rows], codes[rows], masks, scores[rows])
            compared.append(Frame.of(true, found))
        return Video(name, compared)

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


def metrics_of(videos: Sequence[Video], labels: LabelSpace) -> dict:
    """Score videos over time.

    HOTA and IDF1, with their parts, and the AP of tubes are means over the classes of a kind that
    have truth. The classes of "joint" are pairs; of "any", all objects are of one class, so that
    labels do not count.

    Returns:
      {"videos", "frames": numbers, and for each of KINDS {"hota", "det_a", "ass_a", "loc_a",
      "idf1", "idp", "idr", "tube_ap", "tube_ap50"}}: percent; None where there is nothing to score.
    """
    figures: dict = {"videos": len(videos), "frames": sum(len(video.frames) for video in videos)}
    for kind in KINDS:
        rows = of_classes(videos, kind, labels).values()
        precision = tubes.precisions(videos, kind, labels)
        figures[kind] = {
            **{n: float(np.mean([row[n] for row in rows])) if rows else None for n in hota.NAMES},
            "tube_ap": precision["ap"],
            "tube_ap50": precision["ap50"],
        }
    return figures


def of_classes(
    videos: Sequence[Video], kind: str, labels: LabelSpace
) -> dict[int, dict[str, float]]:
    """Return the `hota.figures` of each class of a kind that has truth, by the class's number."""
    codes = [frame.codes for video in videos for frame in video.frames]
    present = np.unique(classes_of(kind, np.concatenate([[0], *codes]).astype(int), labels))
    return {
        int(number): hota.figures(of_class(video, kind, number, labels) for video in videos)
        for number in present[present > 0]
    }
