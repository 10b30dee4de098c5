"""The links of instances to tracks that are possible: by overlap or by distance."""

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
    """A track that is not lost, and the actor that its detections vote for."""

    track: LinkedTrack
    actor: int


def overlapping(
    frame: FrameLinks, active: Sequence[ActiveTrack], overlaps: np.ndarray
) -> list[Candidate]:
    """Return the links to tracks of the same group that an instance overlaps.

    Tracks of the instance's actor come first, then those with the highest IoU.

    Args:
      overlaps: IoU [instances, active tracks].
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
    """Return the links to near tracks of the same group, both not linked so far.

    Instance and track have the same actor or, if the number of individuals is not
    known, boxes of similar size. The nearest comes first.
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

    The nearest comes first, however far it is.

    Args:
      indices: of the instances.
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
