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
      group: number of the group of actors that the track belongs to, see `Groups`.
      last_seen: 0-based index of the last answered frame in which the track has an
        instance.
      region: the box and the mask of that instance.
      apart: the number of frames in which the track's instance did not overlap another
        instance of the same actor, minus the number in which it did.
    """

    group: int
    last_seen: int
    region: Region
    apart: int = 0


@dataclasses.dataclass(frozen=True)
class FrameInstance:
    """An instance of the newest frame.

    Attributes:
      actor: 0-based index of the instance's actor.
      group: number of the actor's group, see `Groups`.
      region: the instance's box and mask.
      detection: the network's labels and probabilities for the instance.
      sureness: p(any actor), the sum of p(actor) over all actors.
    """

    actor: int
    group: int
    region: Region
    detection: Detection
    sureness: float


class Candidate(NamedTuple):
    """A possible link of an instance to a track.

    Attributes:
      rank: values by which candidates are ordered; the lowest rank is linked first. It
        ends with the track's id and the instance's index, so that no two are equal.
      instance: index of the instance in its frame.
      track: the track.
      blocking: bool [N], the frame's instances that show the same individual. If one of
        them already has a track, the link is not made.
    """

    rank: tuple
    instance: int
    track: LinkedTrack
    blocking: np.ndarray


class FrameLinks:
    """The N instances of the newest frame and the tracks that they are linked to.

    The network may detect one individual several times. Two instances count as one
    individual if they have the same actor and one lies mostly inside the other (GHOST),
    or if they have any actors and lie in the same place (SAME_PLACE). Only one of them
    gets a track.

    Args:
      instances: the instances.
      index: 0-based index of the frame among the answered ones.

    Attributes:
      instances, index: the arguments.
      tracks: the track of each instance; None for an instance without a track.
      same_actor: bool [N, N], whether two instances of one actor overlap by GHOST;
        False on the diagonal.
      same_place: bool [N, N], whether two instances of any actors overlap by
        SAME_PLACE; False on the diagonal.
      same: bool [N, N], whether two instances are one individual by either rule.
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
        """Return whether a track is already linked to an instance of this frame."""
        return track.last_seen == self.index

    def has_track(self, instance: int) -> bool:
        """Return whether an instance has a track, or a duplicate of it has one.

        Args:
          instance: index of the instance.
        """
        return self.tracks[instance] is not None or self._any_track(self.same[instance])

    def link_candidates(self, candidates: Iterable[Candidate]) -> None:
        """Link instances to tracks greedily, the candidate of the lowest rank first.

        A candidate is left out if its instance, one of its blocking instances or its
        track is already linked.

        Args:
          candidates: possible links, in any order; see `candidates`.
        """
        for candidate in sorted(candidates):
            is_free = self.tracks[candidate.instance] is None
            if is_free and not self._any_track(candidate.blocking):
                if not self.is_linked(candidate.track):
                    self.link(candidate.instance, candidate.track)

    def link(self, i: int, track: LinkedTrack) -> None:
        """Link instance `i` of the frame to a track.

        The track takes the instance's region and detection, and is seen in this frame.
        """
        instance = self.instances[i]
        track.last_seen = self.index
        track.region = instance.region
        track.detections.append(instance.detection)
        self.tracks[i] = track

    def count_overlaps(self) -> None:
        """Update `apart` of all tracks that are linked in this frame.

        It falls by 1 if the track's instance overlaps another instance of its actor,
        and else grows by 1. Call this once, when all instances are linked.
        """
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
