"""The instances of the newest frame, and the tracks that they are linked to so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.tracking import regions
from a2d_tf.tracking.regions import Region
from a2d_tf.tracking.structures import Detection, Track

# Two instances of the same actor are one individual if at least this share of one mask
# lies inside the other.
GHOST = 0.5
# Two instances of any actors are one individual if their masks have at least this IoU.
SAME_PLACE = 0.4


@dataclasses.dataclass(eq=False)
class LinkedTrack(Track):
    """A track that instances are linked to.

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


@dataclasses.dataclass(frozen=True)
class FrameInstance:
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


class Candidate(NamedTuple):
    """A possible link of an instance to a track.

    Attributes:
      rank: the lowest rank is linked first. It ends with the track's id and the
        instance's index, so that no two ranks are equal.
      instance: index of the instance.
      track: the track.
      blocking: bool [N], instances that must not have a track, because they are the
        same individual.
    """

    rank: tuple
    instance: int
    track: LinkedTrack
    blocking: np.ndarray


class FrameLinks:
    """The N instances of the newest frame and their tracks.

    If several instances are one individual, only one of them gets a track.

    Args:
      instances: the instances.
      index: index of the frame among the answered ones.

    Attributes:
      instances, index: the arguments.
      tracks: the track of each instance; None for an instance without a track.
      same_actor: bool [N, N], whether two instances have the same actor and are one
        individual.
      same_place: bool [N, N], whether two instances of any actors are one individual.
      same: bool [N, N], whether one of both is true.
    """

    def __init__(self, instances: Sequence[FrameInstance], index: int) -> None:
        self.instances = instances
        self.index = index
        self.tracks: list[LinkedTrack | None] = [None for _ in instances]
        places = [instance.region for instance in instances]
        actors = np.array([instance.actor for instance in instances], int)
        is_other = ~np.eye(len(instances), dtype=bool)
        share = regions.share_inside(places, places)
        lies_on = (np.maximum(share, share.T) >= GHOST) & is_other
        self.same_actor = lies_on & (actors[:, None] == actors)
        self.same_place = (regions.iou(places, places) >= SAME_PLACE) & is_other
        self.same = self.same_actor | self.same_place

    def is_linked(self, track: LinkedTrack) -> bool:
        """Return whether a track has an instance in this frame."""
        return track.last_seen == self.index

    def has_track(self, instance: int) -> bool:
        """Return whether an instance, or another one of its individual, has a track."""
        return self.tracks[instance] is not None or self._any_track(self.same[instance])

    def link_candidates(self, candidates: Iterable[Candidate]) -> None:
        """Link instances to tracks, the lowest rank first.

        A candidate whose instance, individual or track is already linked is left out.
        """
        for candidate in sorted(candidates):
            is_free = self.tracks[candidate.instance] is None
            if is_free and not self._any_track(candidate.blocking):
                if not self.is_linked(candidate.track):
                    self.link(candidate.instance, candidate.track)

    def link(self, i: int, track: LinkedTrack) -> None:
        """Link instance `i` to a track, and update the track."""
        instance = self.instances[i]
        track.last_seen = self.index
        track.region = instance.region
        track.detections.append(instance.detection)
        self.tracks[i] = track

    def count_overlaps(self) -> None:
        """Count for each linked track whether it overlaps an instance of its actor."""
        for track, overlaps in zip(self.tracks, self.same_actor.any(axis=1)):
            if track is not None and overlaps:
                track.apart -= 1
            elif track is not None:
                track.apart += 1

    def _any_track(self, is_chosen: np.ndarray) -> bool:
        """Return whether one of the chosen instances, bool [N], has a track."""
        for i in np.flatnonzero(is_chosen):
            if self.tracks[i] is not None:
                return True
        return False
