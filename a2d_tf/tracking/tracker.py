"""Link instances over time, so that an individual keeps its id.

Tracking is by detection: the instances of each answered frame are associated with the
tracks so far. The association is greedy on the IoU of masks (Bochinski et al., AVSS
2017; Bewley et al., "SORT", ICIP 2016), then on distance; it needs no motion model.
Only a sure instance begins a track, and less sure ones continue it (Zhang et al.,
"ByteTrack", ECCV 2022). docs/prediction.md describes the rules.

If the number of individuals is known, an individual that was lost gets its track back
wherever it appears again. Memory does not grow with the video.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking import candidates, regions
from a2d_tf.tracking.candidates import MIN_IOU_OTHER, ActiveTrack
from a2d_tf.tracking.frame_links import FrameInstance, FrameLinks, LinkedTrack
from a2d_tf.tracking.groups import Groups
from a2d_tf.tracking.regions import Region
from a2d_tf.tracking.structures import (
    Detection,
    FoundInstances,
    LinkedInstances,
)
from a2d_tf.tracking.track_labels import vote_actor

# The least p(any actor) with which an instance of a network begins a track.
SURE = 0.8
# Number of answered frames from which a track's label is read.
WINDOW = 9
# Number of answered frames in a row that may miss a track before it is lost.
PATIENCE = 8


class _LostTracks(NamedTuple):
    """The ids of the tracks that are lost from a frame on.

    Attributes:
      resting: ids of the tracks that may continue later.
      ended: ids of the tracks that never continue.
    """

    resting: list[int]
    ended: list[int]


class Tracker:
    """Assigns the instances of one answered frame after another to tracks.

    Tracks are numbered from 1 in the order of their appearance. A track keeps the
    detections of its last `window` + `ahead` frames.

    Args:
      labels: the label space of the instances' codes.
      groups: groups of actors with their numbers of individuals. If a group's number is
        known, a lost track rests until an individual of the group appears again
        anywhere. If not, a lost track ends, and the individual begins a new one. None:
        no number is known.
      window: number of a track's last frames that vote for its actor.
      ahead: number of frames before these whose detections the track also keeps, for
        labels that are read later.
      patience: number of answered frames in a row that may miss a track before it is
        lost.
      sure: least p(any actor), from 0 to 1, with which an instance begins a track.
    """

    def __init__(
        self,
        labels: LabelSpace,
        groups: Groups | None = None,
        *,
        window: int = WINDOW,
        ahead: int = 0,
        patience: int = PATIENCE,
        sure: float = SURE,
    ) -> None:
        self._labels = labels
        self._groups = groups or Groups.from_counts(labels, {})
        self._window = window
        self._kept = window + ahead
        self._patience = patience
        self._sure = sure
        self._tracks: list[LinkedTrack] = []  # those that have not ended
        self._index = -1  # of the newest frame
        self._last_id = 0

    def add(self, instances: FoundInstances) -> LinkedInstances:
        """Assign the instances of the next answered (predicted) frame to tracks.

        Call it once for each answered frame, in the order of the video. In this order,
        an instance

        1. continues the track of its actor whose last mask it overlaps most, or else
           such a track of another actor;
        2. continues the nearest track without an instance in this frame, if near;
        3. begins a track, if it is sure and its group has fewer tracks than
           individuals;
        4. continues the nearest track without an instance in this frame, however far,
           if its group has as many tracks as individuals.

        All tracks that it may continue are of its group. If several instances lie on
        one another, only one of them has a track.

        Args:
          instances: the instances of the frame, which may be none.

        Returns:
          the track of each instance, the tracks that are lost from this frame on, and
          the number of sure instances beyond the number of individuals.
        """
        self._index += 1
        lost = self._lose_tracks()
        active = self._active_tracks()
        frame = FrameLinks(self._frame_instances(instances), self._index)
        overlaps = _overlaps(frame, active)

        frame.link_candidates(candidates.overlapping(frame, active, overlaps))
        frame.link_candidates(candidates.near(frame, active, self._groups))
        beyond_limit = self._begin_tracks(frame, active, overlaps)
        frame.link_candidates(candidates.anywhere(frame, beyond_limit, self._tracks))
        frame.count_overlaps()

        extra = 0
        for i in beyond_limit:
            if not frame.has_track(i) and frame.instances[i].sureness >= self._sure:
                extra += 1
        return LinkedInstances(frame.tracks, lost.resting, lost.ended, extra)

    def _lose_tracks(self) -> _LostTracks:
        """Return the tracks that were missed too often; forget those that end."""
        lost = _LostTracks([], [])
        kept_tracks = []
        for track in self._tracks:
            is_lost = self._missed_frames(track) == self._patience + 1
            if is_lost and not self._groups.is_limited(track.group):
                lost.ended.append(track.id)
                continue
            kept_tracks.append(track)
            if is_lost:
                lost.resting.append(track.id)
        self._tracks = kept_tracks
        return lost

    def _active_tracks(self) -> list[ActiveTrack]:
        """Return the tracks that are not lost."""
        active = []
        for track in self._tracks:
            if self._missed_frames(track) <= self._patience:
                recent = list(track.detections)[-self._window :]
                active.append(ActiveTrack(track, vote_actor(recent, self._labels)))
        return active

    def _missed_frames(self, track: LinkedTrack) -> int:
        """Return how many frames in a row missed a track before the newest frame."""
        return self._index - track.last_seen - 1

    def _frame_instances(self, instances: FoundInstances) -> list[FrameInstance]:
        """Return the instances of the newest frame, in their order."""
        frame_instances = []
        for i in range(len(instances.codes)):
            detection = Detection.of(instances, i, self._index)
            actor, _ = self._labels.indices(detection.code)
            instance = FrameInstance(
                actor=actor,
                group=self._groups.group_of_actor[actor],
                region=Region(instances.boxes[i], instances.masks[i]),
                detection=detection,
                sureness=float(detection.actor_scores.sum()),
            )
            frame_instances.append(instance)
        return frame_instances

    def _begin_tracks(
        self, frame: FrameLinks, active: Sequence[ActiveTrack], overlaps: np.ndarray
    ) -> list[int]:
        """Begin tracks with the sure instances that have no track.

        Args:
          overlaps: IoU [instances, active tracks].

        Returns:
          indices of the instances whose group already has as many tracks as
          individuals.
        """
        beyond_limit = []
        for i, instance in enumerate(frame.instances):
            if frame.has_track(i):
                continue
            if self._is_misread(instance, frame, active, overlaps[i]):
                continue
            count = sum(track.group == instance.group for track in self._tracks)
            if count == self._groups.most_tracks[instance.group]:
                beyond_limit.append(i)
            elif instance.sureness >= self._sure:
                frame.link(i, self._new_track(instance))
        return beyond_limit

    def _is_misread(
        self,
        instance: FrameInstance,
        frame: FrameLinks,
        active: Sequence[ActiveTrack],
        overlaps: np.ndarray,
    ) -> bool:
        """Return whether the network has taken an individual for another actor.

        That is assumed if the instance overlaps a track of another group whose number
        of individuals is known, and that track has no instance in this frame.

        Args:
          overlaps: IoU of the instance with the active tracks.
        """
        for (track, _), overlap in zip(active, overlaps):
            if overlap >= MIN_IOU_OTHER and not frame.is_linked(track):
                is_limited = self._groups.is_limited(track.group)
                if is_limited and track.group != instance.group:
                    return True
        return False

    def _new_track(self, instance: FrameInstance) -> LinkedTrack:
        self._last_id += 1
        track = LinkedTrack(
            id=self._last_id,
            detections=collections.deque(maxlen=self._kept),
            group=instance.group,
            last_seen=self._index,
            region=instance.region,
        )
        self._tracks.append(track)
        return track


def _overlaps(frame: FrameLinks, active: Sequence[ActiveTrack]) -> np.ndarray:
    """Return the IoU of instances with the last masks of tracks, [N, tracks]."""
    return regions.iou(
        [instance.region for instance in frame.instances],
        [track.region for track, _ in active],
    )
