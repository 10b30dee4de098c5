"""Link instances over time, so that an individual keeps its id.

Linking is greedy on the IoU of masks between one answered frame and the next, as in
tracking by detection (Bochinski et al., AVSS 2017; Bewley et al., ICIP 2016), then on
distance; it needs no motion model. Only a sure instance begins a track, and less sure
ones continue it (Zhang et al., "ByteTrack", ECCV 2022). docs/prediction.md has the
measurements behind the constants.

If the number of individuals is known, an individual that was lost gets its track back
wherever it appears again. Memory does not grow with the video.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.core.labels import LabelSpace
from a2d_tf.tracking import regions
from a2d_tf.tracking.groups import Groups
from a2d_tf.tracking.regions import Region
from a2d_tf.tracking.structures import (
    Detection,
    FoundInstances,
    LinkedInstances,
    Track,
)
from a2d_tf.tracking.track_labels import vote_actor

# An instance continues a track if its mask has at least this IoU with the track's last.
MIN_IOU = 0.3
# The same for an instance of another actor than the track's.
MIN_IOU_OTHER = 0.5
# Two instances of the same actor are one individual if at least this share of one mask
# lies inside the other.
GHOST = 0.5
# Two instances of any actors are one individual if their masks have at least this IoU.
SAME_PLACE = 0.4
# The least p(any actor) with which an instance of a network begins a track.
SURE = 0.8
# A near instance of another actor continues a track if the smaller of the two boxes'
# diagonals is at least this share of the larger one.
ALIKE = 0.5
# An instance is near a track if the distance of their centres is at most this share of
# the mean diagonal of the two boxes.
NEAR = 0.35
# Number of answered frames from which a track's label is read.
WINDOW = 9
# Number of answered frames in a row that may miss a track before it is lost.
PATIENCE = 8


@dataclasses.dataclass(eq=False)
class _LinkedTrack(Track):
    """A track that instances are linked to.

    Tracks are numbered from 1 in the order of their appearance. A track keeps the
    detections of its last `window` + `ahead` frames.

    Attributes:
      group: number of its group, see `Groups`.
      last_seen: index of the last answered frame in which it was seen.
      region: its box and mask in that frame.
      apart: the number of frames in which it did not overlap an instance of the same
        actor, minus the number in which it did.
    """

    group: int
    last_seen: int
    region: Region
    apart: int = 0


class _ActiveTrack(NamedTuple):
    """A track that is not lost, and the actor that its detections vote for."""

    track: _LinkedTrack
    actor: int


@dataclasses.dataclass(frozen=True)
class _Sight:
    """An instance of the newest frame.

    Attributes:
      actor: index of the actor.
      group: number of the actor's group, see `Groups`.
      region: box and mask.
      detection: the network's answer on the instance.
      sureness: p(any actor).
    """

    actor: int
    group: int
    region: Region
    detection: Detection
    sureness: float


class _Candidate(NamedTuple):
    """A sight that may continue a track; of two candidates the lower rank is better.

    Attributes:
      rank: tuple that ends with the track's id and the sight's index, so that no two
        ranks are equal.
      sight: index of the sight.
      track: the track that it may continue.
    """

    rank: tuple
    sight: int
    track: _LinkedTrack


class _LostTracks(NamedTuple):
    """Ids of the tracks that are lost from a frame on; see `LinkedInstances`."""

    resting: list[int]
    ended: list[int]


class _Frame:
    """The N sights of the newest frame, and the tracks that they have so far.

    If several sights are one individual, only one of them gets a track.

    Attributes:
      sights: the sights.
      tracks: the track of each sight; None for a sight without a track.
      same_actor: bool [N, N], whether two sights have the same actor and are one
        individual.
      same_place: bool [N, N], whether two sights of any actors are one individual.
      same: bool [N, N], whether one of both is true.
    """

    def __init__(self, sights: Sequence[_Sight]) -> None:
        self.sights = sights
        self.tracks: list[_LinkedTrack | None] = [None for _ in sights]
        places = [sight.region for sight in sights]
        actors = np.array([sight.actor for sight in sights], int)
        is_other_sight = ~np.eye(len(sights), dtype=bool)
        share = regions.share_inside(places, places)
        lies_on = (np.maximum(share, share.T) >= GHOST) & is_other_sight
        self.same_actor = lies_on & (actors[:, None] == actors)
        self.same_place = (regions.iou(places, places) >= SAME_PLACE) & is_other_sight
        self.same = self.same_actor | self.same_place

    def is_assigned(self, sight: int) -> bool:
        """Return whether a sight, or another one of its individual, has a track."""
        return self.tracks[sight] is not None or self.has_track(self.same[sight])

    def has_track(self, is_chosen: np.ndarray) -> bool:
        """Return whether one of some sights has a track.

        Args:
          is_chosen: bool [N], the sights.
        """
        for sight in np.flatnonzero(is_chosen):
            if self.tracks[sight] is not None:
                return True
        return False


class Tracker:
    """Assigns the instances of one frame after another to tracks.

    Args:
      labels: actors and actions.
      groups: numbers of individuals. If a group's number is known, a lost track rests
        until an individual of the group appears again anywhere. If not, a lost track
        ends, and the individual begins a new one. None: no number is known.
      window: number of a track's last frames that vote for its actor.
      ahead: number of frames before these whose detections the track also keeps, for
        labels that are read later.
      patience: number of answered frames in a row that may miss a track before it is
        lost.
      sure: least p(any actor) with which an instance begins a track.
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
        self._groups = groups or Groups.of_numbers(labels, {})
        self._window = window
        self._kept = window + ahead
        self._patience = patience
        self._sure = sure
        self._tracks: list[_LinkedTrack] = []  # without ended ones
        self._index = -1
        self._last_id = 0

    def add(self, instances: FoundInstances) -> LinkedInstances:
        """Assign the instances of the next answered frame to tracks.

        In this order, an instance

        1. continues the track of its actor whose last mask it overlaps most, or else
           such a track of another actor;
        2. continues the nearest track without an instance in this frame, if near;
        3. begins a track, if it is sure and its group has fewer tracks than
           individuals;
        4. continues the nearest track without an instance in this frame, however far,
           if its group has as many tracks as individuals.

        All tracks that it may continue are of its group.

        If several instances lie on one another, only one of them has a track.

        Args:
          instances: instances of the frame.
        """
        self._index += 1
        oldest = self._index - self._patience - 1
        lost = self._lose_tracks(oldest)
        active = self._active_tracks(oldest)
        frame = _Frame(self._sights(instances))
        overlaps = regions.iou(
            [sight.region for sight in frame.sights],
            [track.region for track, _ in active],
        )
        self._assign_overlapping(frame, active, overlaps)
        self._assign_near(frame, active)
        without_track = self._begin_tracks(frame, active, overlaps)
        self._assign_anywhere(frame, without_track)

        for track, lies_on_like in zip(frame.tracks, frame.same_actor.any(axis=1)):
            if track is not None and lies_on_like:
                track.apart -= 1
            elif track is not None:
                track.apart += 1
        extra = 0
        for i in without_track:
            if not frame.is_assigned(i) and frame.sights[i].sureness >= self._sure:
                extra += 1
        return LinkedInstances(frame.tracks, lost.resting, lost.ended, extra)

    def _lose_tracks(self, oldest: int) -> _LostTracks:
        """Return the tracks last seen just before `oldest`; forget those that end."""
        lost = _LostTracks([], [])
        kept_tracks = []
        for track in self._tracks:
            is_lost = track.last_seen == oldest - 1
            if is_lost and not self._groups.is_limited(track.group):
                lost.ended.append(track.id)
                continue
            kept_tracks.append(track)
            if is_lost:
                lost.resting.append(track.id)
        self._tracks = kept_tracks
        return lost

    def _active_tracks(self, oldest: int) -> list[_ActiveTrack]:
        """Return the tracks that were seen in frame `oldest` or later."""
        active = []
        for track in self._tracks:
            if track.last_seen >= oldest:
                recent = list(track.detections)[-self._window :]
                active.append(_ActiveTrack(track, vote_actor(recent, self._labels)))
        return active

    def _sights(self, instances: FoundInstances) -> list[_Sight]:
        """Return the sights of a frame's instances, in their order."""
        sights = []
        for i in range(len(instances.codes)):
            detection = Detection.of(instances, i, self._index)
            actor, _ = self._labels.indices(detection.code)
            sight = _Sight(
                actor=actor,
                group=self._groups.of_actors[actor],
                region=Region(instances.boxes[i], instances.masks[i]),
                detection=detection,
                sureness=float(detection.actor_scores.sum()),
            )
            sights.append(sight)
        return sights

    def _assign_overlapping(
        self, frame: _Frame, active: Sequence[_ActiveTrack], overlaps: np.ndarray
    ) -> None:
        """Assign sights to the tracks of their group that they overlap.

        Args:
          overlaps: IoU [sights, active tracks].
        """
        candidates = []
        for i, k in zip(*np.nonzero(overlaps >= MIN_IOU)):
            sight = frame.sights[i]
            track, actor = active[k]
            is_other_actor = sight.actor != actor
            if sight.group != track.group:
                continue
            if is_other_actor and overlaps[i, k] < MIN_IOU_OTHER:
                continue
            rank = (is_other_actor, -overlaps[i, k], track.id, i)
            candidates.append(_Candidate(rank, i, track))
        for candidate in sorted(candidates):
            blocking = frame.same[candidate.sight]
            # A track that has been apart from others of its actor continues while
            # they overlap.
            if candidate.track.apart > 0:
                blocking = frame.same_place[candidate.sight]
            self._assign(frame, candidate, blocking)

    def _assign_near(self, frame: _Frame, active: Sequence[_ActiveTrack]) -> None:
        """Assign sights to near tracks of their group that have none in this frame.

        Sight and track have the same actor or, if the number of individuals is not
        known, boxes of similar size.
        """
        candidates = []
        for i, sight in enumerate(frame.sights):
            if frame.tracks[i] is not None:
                continue
            for track, actor in active:
                if track.last_seen == self._index or track.group != sight.group:
                    continue
                distance = sight.region.distance(track.region)
                small, large = sorted(
                    (sight.region.diagonal(), track.region.diagonal())
                )
                if distance > NEAR * (small + large) / 2:
                    continue
                is_alike = small >= ALIKE * large
                may_change_actor = is_alike and not self._groups.is_limited(track.group)
                if may_change_actor or sight.actor == actor:
                    candidates.append(_Candidate((distance, track.id, i), i, track))
        for candidate in sorted(candidates):
            self._assign(frame, candidate, frame.same[candidate.sight])

    def _begin_tracks(
        self, frame: _Frame, active: Sequence[_ActiveTrack], overlaps: np.ndarray
    ) -> list[int]:
        """Begin tracks with the sure sights that have no track.

        Returns:
          indices of the sights whose group already has as many tracks as individuals.
        """
        without_track = []
        for i, sight in enumerate(frame.sights):
            if frame.is_assigned(i) or self._is_misread(sight, active, overlaps[i]):
                continue
            count = sum(track.group == sight.group for track in self._tracks)
            if count == self._groups.most_tracks[sight.group]:
                without_track.append(i)
            elif sight.sureness >= self._sure:
                self._last_id += 1
                track = _LinkedTrack(
                    id=self._last_id,
                    detections=collections.deque(maxlen=self._kept),
                    group=sight.group,
                    last_seen=self._index,
                    region=sight.region,
                )
                self._tracks.append(track)
                self._give(frame, i, track)
        return without_track

    def _is_misread(
        self, sight: _Sight, active: Sequence[_ActiveTrack], overlaps: np.ndarray
    ) -> bool:
        """Return whether the network has taken an individual for another actor.

        That is assumed if the sight overlaps a track of another group whose number of
        individuals is known, and that track has no sight in this frame.
        """
        for (track, _), overlap in zip(active, overlaps):
            is_missed = track.last_seen < self._index
            if overlap >= MIN_IOU_OTHER and is_missed:
                is_limited = self._groups.is_limited(track.group)
                if is_limited and track.group != sight.group:
                    return True
        return False

    def _assign_anywhere(self, frame: _Frame, without_track: Sequence[int]) -> None:
        """Assign sights to the nearest tracks without a sight, however far they are."""
        candidates = []
        for i in without_track:
            sight = frame.sights[i]
            for track in self._tracks:
                if track.group == sight.group:
                    distance = sight.region.distance(track.region)
                    candidates.append(_Candidate((distance, track.id, i), i, track))
        for candidate in sorted(candidates):
            self._assign(frame, candidate, frame.same[candidate.sight])

    def _assign(
        self, frame: _Frame, candidate: _Candidate, blocking: np.ndarray
    ) -> None:
        """Give a sight its candidate's track, unless it or a blocking sight has one.

        Args:
          frame: the frame's sights.
          candidate: the sight and the track; if the track has another sight in this
            frame, nothing happens.
          blocking: bool [N], other sights that must not have a track.
        """
        if frame.tracks[candidate.sight] is not None or frame.has_track(blocking):
            return
        if candidate.track.last_seen < self._index:
            self._give(frame, candidate.sight, candidate.track)

    def _give(self, frame: _Frame, i: int, track: _LinkedTrack) -> None:
        """Give sight `i` a track, and update the track."""
        sight = frame.sights[i]
        track.last_seen = self._index
        track.region = sight.region
        track.detections.append(sight.detection)
        frame.tracks[i] = track
