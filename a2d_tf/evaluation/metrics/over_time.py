"""Scores of tracked objects in whole videos: video-mAP, HOTA and IDF1.

In an evaluation these are the videos of which every frame is in the records, with the
identities of its instances. The tracker of predictions, `tracking/`, links the
network's instances from frame to frame. A video in which a true instance has no mask
has a video-mAP alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pycocotools import mask as rle_tools

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation.metrics.hota import NAMES, tracking_scores
from a2d_tf.evaluation.metrics.metric import TRACKS, Metric, SplitData
from a2d_tf.evaluation.metrics.tables import Table
from a2d_tf.evaluation.metrics.tracks import TRACK_KINDS, ComparedFrame, Objects
from a2d_tf.evaluation.metrics.video_map import frame_map, video_maps
from a2d_tf.tracking import track_labels
from a2d_tf.tracking.tracked_frames import track_instances

if TYPE_CHECKING:
    from a2d_tf.evaluation.frames.evaluated_frames import Frame
    from a2d_tf.model.structures import BatchInstances

_COLUMNS = dict(zip(NAMES, "HOTA DetA AssA LocA IDF1 IDP IDR".split()))
_MAPS = {
    "frame_map50": "frame-mAP .5",
    "frame_map50_tracks": "of tracks",
    "video_map20": "video-mAP .2",
    "video_map50": "video-mAP .5",
}


class _KeptFrame(NamedTuple):
    """A frame as it is kept until its video is complete.

    Attributes:
      truth: the true objects.
      instances: the N instances that the network found, without the probabilities of
        their masks.
      masks: N COCO RLEs, the masks of these instances.
    """

    truth: Objects
    instances: BatchInstances
    masks: list[dict]


@dataclasses.dataclass(frozen=True)
class _Instances:
    """N instances of a frame, as the tracker reads them.

    Attributes:
      boxes: float [N, 4], (y1, x1, y2, x2) in pixels of the video.
      codes: int [N], the code of each instance's actor and action.
      scores: float [N], the score of this pair.
      actor_scores: float [N, |X|], p(actor) of every actor.
      action_scores: float [N, |Y|], p(action) of every action.
      masks: N COCO RLEs.
    """

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    actor_scores: np.ndarray
    action_scores: np.ndarray
    masks: list[dict]

    @classmethod
    def reaching(cls, threshold: float, frame: _KeptFrame) -> _Instances:
        """Return the instances of a frame of at least this p(actor)."""
        instances = frame.instances
        rows = np.flatnonzero(instances.class_scores >= threshold)
        return cls(
            boxes=instances.boxes[rows],
            codes=instances.code[rows],
            scores=instances.score[rows],
            actor_scores=instances.actor_scores[rows],
            action_scores=instances.action_scores[rows],
            masks=[frame.masks[i] for i in rows],
        )


class OverTime(Metric):
    """Video-mAP, HOTA and IDF1 of the videos of which every frame is in the records."""

    section = "over_time"
    needs = (TRACKS,)

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels)
        # {video: {number of a frame: the frame, None if it lacks identities}}
        self._videos: dict[str, dict[int, _KeptFrame | None]] = {}

    def update(self, frame: Frame) -> None:
        """Keep the instances of a frame and the true ones, until all frames are seen.

        A frame counts only if each true instance has an identity of its own.
        """
        truth = frame.truth
        kept_frame = None
        if truth.tracks is None:
            tracks = np.full(len(truth.codes), -1)
        else:
            tracks = truth.tracks
        identified = tracks.min(initial=0) >= 0
        if identified and len(np.unique(tracks)) == len(tracks):
            true_objects = Objects(
                tracks=tracks,
                codes=truth.codes.astype(np.int64),
                masks=truth.rles,
                scores=np.ones(len(tracks)),
                boxes=truth.boxes,
            )
            instances = frame.instances._replace(head_results={})
            kept_frame = _KeptFrame(true_objects, instances, frame.rles)
        self._videos.setdefault(truth.video, {})[truth.frame] = kept_frame

    def result(self, split: SplitData, earlier: dict) -> dict:
        """Link the instances to tracks, and score these.

        A video counts if it has two or more frames without a gap and each true instance
        has an identity; for "over_time" each also needs a mask.

        Returns:
          {"video_map": video-mAPs of actors, actions and pairs, see `video_maps`, and
          in its "joint" also the frame-mAP as "frame_map50"; "over_time": HOTA, IDF1
          and their parts, see `tracking_scores`}; empty if no such video has a true
          object.
        """
        videos = list(self._complete_videos())
        object_count = 0
        for frames in videos:
            object_count += sum(len(frame.truth.codes) for frame in frames)
        if not object_count:
            return {}
        compared_videos = [self._track(frames, split) for frames in videos]
        figures = {"video_map": video_maps(compared_videos, self.labels)}
        if split.rois is not None:
            joint = figures["video_map"]["joint"]
            joint["frame_map50"] = frame_map(split.rois, split.truth, self.labels)
        with_masks = [frames for frames in compared_videos if _all_have_masks(frames)]
        if with_masks:
            figures["over_time"] = tracking_scores(with_masks, self.labels)
        return figures

    def _complete_videos(self) -> Iterator[list[_KeptFrame]]:
        """Yield the frames in order of each video that is complete, see `result`."""
        for frames in self._videos.values():
            without_gap = len(frames) == max(frames) - min(frames) + 1
            in_order = [frames[number] for number in sorted(frames)]
            identified = [frame for frame in in_order if frame is not None]
            if without_gap and len(identified) == len(frames) > 1:
                yield identified

    def _track(
        self, frames: Sequence[_KeptFrame], split: SplitData
    ) -> list[ComparedFrame]:
        """Link the instances of a video to tracks, frame by frame.

        Args:
          frames: the frames of the video, in order.
          split: says the threshold of p(actor), and what p(action) is.
        """
        answers = []
        for frame in frames:
            instances = _Instances.reaching(split.threshold, frame)
            answers.append((frame.truth, instances))
        compared_frames = []
        for tracked in track_instances(answers, self.labels, joint_scores=split.joint):
            instances = tracked.instances
            rows = []
            for i, mask in enumerate(instances.masks):
                if tracked.ids[i] and rle_tools.area(mask):
                    rows.append(i)
            actions = instances.action_scores[rows].astype(float)
            if split.joint:
                actions = track_labels.given_actor(actions)
            actors = instances.actor_scores[rows]
            predicted = Objects(
                tracks=tracked.ids[rows],
                codes=tracked.codes[rows],
                masks=[instances.masks[i] for i in rows],
                scores=tracked.scores[rows],
                boxes=instances.boxes[rows],
                pair_scores=actors[:, :, None] * actions[:, None] * self.labels.valid,
            )
            truth = tracked.frame  # the first of each pair in `answers`
            compared_frames.append(ComparedFrame(truth, predicted))
        return compared_frames

    @classmethod
    def tables(cls, metrics: dict) -> list[Table]:
        """Return a table of HOTA and IDF1, and one of frame-mAP and video-mAP.

        Their rows are for actors, actions and pairs; the first also has one for all
        objects, whatever their labels.

        Args:
          metrics: the content of `metrics.json`; any part may be missing.
        """
        tables = []
        over_time = metrics.get("over_time")
        if over_time:
            title = f"Over time, {_counts(over_time)}: percent"
            tables.append(Table(title, _COLUMNS, _rows(over_time)))
        video_map = metrics.get("video_map")
        if video_map:
            title = f"mAP at IoU .2 and .5, {_counts(video_map)}: percent"
            tables.append(Table(title, _MAPS, _rows(video_map)))
        return tables


def _counts(figures: Mapping[str, Any]) -> str:
    """Say for a title how many videos, frames and classes figures are means over."""
    return (
        f"{figures['videos']} videos with {figures['frames']} frames, means over tested"
        " classes"
    )


def _rows(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of each of TRACK_KINDS that has any."""
    return {kind: figures[kind] for kind in TRACK_KINDS if kind in figures}


def _all_have_masks(frames: Sequence[ComparedFrame]) -> bool:
    """Return whether every true object of a video has a mask."""
    return all(rle_tools.area(frame.truth.masks).all() for frame in frames)
