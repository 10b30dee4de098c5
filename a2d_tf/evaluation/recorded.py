"""The scores over time of records that hold every frame of a video, with identities.

Instances of one frame and the next are linked by the tracker of predictions, `ops/tracking.py`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.evaluation import coco_results
from a2d_tf.evaluation import track_metrics as metrics
from a2d_tf.evaluation.scenes import Frame, Objects, Video
from a2d_tf.ops import tracking

if TYPE_CHECKING:
    from a2d_tf.data.records import ClipTruth


@dataclasses.dataclass(frozen=True)
class Sighted:
    """The instances of a frame, as `tracking.Instances` has them."""

    boxes: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    masks: list[dict]
    actor_scores: np.ndarray
    action_scores: np.ndarray


@dataclasses.dataclass(frozen=True)
class _True:
    """The truth of a frame of this (height, width)."""

    objects: Objects
    size: tuple[int, int]


class Recorded:
    """Collects the frames of a split, and scores the videos whose frames are all there.

    Args:
      labels: the label space.
      threshold: least p(actor) of an instance.
      joint: whether p(action) is a sum over actors, see `tracking.read_label`.
    """

    def __init__(self, labels: LabelSpace, threshold: float, joint: bool):
        self._labels, self._threshold, self._joint = labels, threshold, joint
        self._videos: dict[str, dict[int, tuple[_True, Sighted]]] = {}
        self._without: set[str] = set()  # videos with an instance that has no identity of its own

    def add(self, truth: ClipTruth, instances: dict, masks: list[dict]) -> None:
        """Add a frame.

        Args:
          truth: of its record.
          instances: as of `frames.Frame`.
          masks: their RLEs, native size.
        """
        if not _all_known(truth):
            self._without.add(truth.video)
        if truth.video in self._without:
            self._videos.pop(truth.video, None)
            return
        chosen = np.flatnonzero(instances["class_score"] >= self._threshold)
        names = ("boxes", "code", "score", "actor_scores", "action_scores")
        boxes, codes, scores, actors, actions = (instances[name][chosen] for name in names)
        sighted = Sighted(boxes, codes, scores, [masks[i] for i in chosen], actors, actions)
        true = _True(_objects(truth), truth.native_size)
        self._videos.setdefault(truth.video, {})[truth.frame] = true, sighted

    def metrics(self) -> dict:
        """Return `metrics.metrics_of` these videos; empty where they hold no object.

        A video counts if its frames are recorded without a gap, two or more, and every instance has
        an identity.
        """
        whole = {
            name: [frames[number] for number in sorted(frames)]
            for name, frames in self._videos.items()
            if len(frames) > 1 and max(frames) - min(frames) + 1 == len(frames)
        }
        if not any(len(true.objects.codes) for frames in whole.values() for true, _ in frames):
            return {}
        videos = [self._follow(name, frames) for name, frames in whole.items()]
        return metrics.metrics_of(videos, self._labels)

    def _follow(self, name, frames):
        """Link the instances of a video's frames."""
        followed = tracking.follow(frames, self._labels, joint=self._joint)
        return Video(
            name,
            [
                Frame.of(true.objects, _seen(sighted, tracks, codes, scores), true.size)
                for true, sighted, tracks, codes, scores in followed
            ],
        )


def _all_known(truth):
    """Whether every instance of a record has an identity of its own."""
    if not len(truth.codes):
        return True  # a frame without instances names no track
    tracks = truth.tracks
    return tracks is not None and tracks.min() >= 0 and len(np.unique(tracks)) == len(tracks)


def _objects(truth):
    """The true objects of a record."""
    if not len(truth.codes):
        return Objects.none()
    codes = truth.codes.astype(np.int64)
    return Objects(truth.tracks, codes, truth.rles, np.ones(len(codes)))


def _seen(sighted, tracks, codes, scores):
    """The predicted objects that have a pixel."""
    rows = [i for i, mask in enumerate(sighted.masks) if coco_results.area(mask)]
    masks = [sighted.masks[i] for i in rows]
    return Objects(tracks[rows], codes[rows], masks, scores[rows])
