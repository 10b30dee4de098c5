"""The links of instances to tracks that are possible: by overlap or by distance.

`Tracker` links the instances of each frame in three passes, a function of this file for
each. A pass ranks its candidates, and `FrameLinks.link_candidates` then takes them in
the order of their ranks. A group is a set of actors between which a track may change,
see `Groups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from a2d_tf.tracking.frame_links import Candidate, FrameLinks, LinkedTrack
from a2d_tf.tracking.groups import Groups

# An instance continues a track if its mask has at least this IoU with the track's last.
MIN_IOU = 0.3
# The same for an instance of another actor than the track's.
MIN_IOU_OTHER = 0.5
# A near instance of another actor continues a track if the smaller of the two boxes'
# diagonals is at least this share of the larger one.
ALIKE = 0.5
# An instance is near a track if the distance of their centres is at most this share of
# the mean diagonal of the two boxes.
NEAR = 0.35


class ActiveTrack(NamedTuple):
    """A track that is not lost, and its actor.

    Attributes:
      track: the track.
      actor: 0-based index of the actor that the track's newest detections vote for.
    """

    track: LinkedTrack
    actor: int


def overlapping(
    frame: FrameLinks, active: Sequence[ActiveTrack], overlaps: np.ndarray
) -> list[Candidate]:
    """Return the links of instances to tracks of their group that they overlap.

    An instance may continue a track of its actor from an IoU of MIN_IOU on, and a track
    of another actor from MIN_IOU_OTHER on. The lowest ranks have links to a track of
    the same actor, and among these the links with the highest IoU.

    Args:
      frame: the N instances of the newest frame.
      active: the K tracks that are not lost.
      overlaps: float64 [N, K], IoU of each instance with each track's last mask.
    """
    candidates = []
    for i, k in zip(*np.nonzero(overlaps >= MIN_IOU)):
        instance = frame.instances[i]
        track, actor = active[k]
        is_other_actor = instance.actor != actor
        if instance.group != track.group:
            continue
        if is_other_actor and overlaps[i, k] < MIN_IOU_OTHER:
            continue
        blocking = frame.same[i]
        # A track that has been apart from others of its actor continues while they
        # overlap.
        if track.apart > 0:
            blocking = frame.same_place[i]
        rank = (is_other_actor, -overlaps[i, k], track.id, i)
        candidates.append(Candidate(rank, i, track, blocking))
    return candidates


def near(
    frame: FrameLinks, active: Sequence[ActiveTrack], groups: Groups
) -> list[Candidate]:
    """Return the links of instances to near tracks of their group.

    Near means that the centres of their boxes are at most NEAR times the mean diagonal
    of the two boxes apart. Both are not linked so far. They have the same actor or, if
    the group's number of individuals is not known, boxes of similar size. The nearest
    pair has the lowest rank.

    Args:
      frame: the instances of the newest frame, and their tracks so far.
      active: the tracks that are not lost.
      groups: the groups of actors.
    """
    candidates = []
    for i, instance in enumerate(frame.instances):
        if frame.tracks[i] is not None:
            continue
        for track, actor in active:
            if frame.is_linked(track) or track.group != instance.group:
                continue
            distance = instance.region.distance(track.region)
            small, large = sorted((instance.region.diagonal(), track.region.diagonal()))
            if distance > NEAR * (small + large) / 2:
                continue
            is_alike = small >= ALIKE * large
            may_change_actor = is_alike and not groups.is_limited(track.group)
            if may_change_actor or instance.actor == actor:
                rank = (distance, track.id, i)
                candidates.append(Candidate(rank, i, track, frame.same[i]))
    return candidates


def anywhere(
    frame: FrameLinks, indices: Sequence[int], tracks: Sequence[LinkedTrack]
) -> list[Candidate]:
    """Return the links of some instances to all tracks of their group.

    The nearest pair has the lowest rank, and no pair is too far apart.

    Args:
      frame: the instances of the newest frame, and their tracks so far.
      indices: indices in the frame of the instances to link.
      tracks: the tracks to link to, lost or not.
    """
    candidates = []
    for i in indices:
        instance = frame.instances[i]
        for track in tracks:
            if track.group == instance.group:
                distance = instance.region.distance(track.region)
                rank = (distance, track.id, i)
                candidates.append(Candidate(rank, i, track, frame.same[i]))
    return candidates
