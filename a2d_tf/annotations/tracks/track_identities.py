"""Identities of tracks: which instances in a video's frames are one individual.

Each file numbers its tracks by itself, so the same number in two files may mean two
individuals. A name means the same individual in all files of a video.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import numpy as np

from a2d_tf.annotations.documents.document import AnnotatedFrame


class TrackIdentities:
    """Tells which instances in the frames of one video belong to one track.

    The identity of a track is a number that is unique in the video, though each file
    numbers its tracks anew.

    Args:
      frames: the annotated frames of the video, in the order of its files.
    """

    def __init__(self, frames: Iterable[AnnotatedFrame]) -> None:
        frames = list(frames)
        self._offsets, first_free = _offsets(frames)
        self._of_name: dict[str, int] = {}
        repeated_names = _names_in_one_frame(frames)
        for frame in frames:
            for instance in frame.instances:
                if not instance.name or instance.name in repeated_names:
                    continue
                if instance.name in self._of_name:
                    continue
                if instance.track is None:
                    self._of_name[instance.name] = first_free
                    first_free += 1
                else:
                    self._of_name[instance.name] = self._of_track(frame, instance.track)

    def of_frame(self, frame: AnnotatedFrame) -> np.ndarray | None:
        """Return the identity of the track of each instance in a frame.

        Args:
          frame: one of the annotated frames of the video, with N instances.

        Returns:
          int64 [N], in the order of the instances; -1 for an instance with neither
          track nor name. None if all instances are so.
        """
        identities = []
        for instance in frame.instances:
            if instance.name in self._of_name:
                identities.append(self._of_name[instance.name])
            elif instance.track is None:
                identities.append(-1)
            else:
                identities.append(self._of_track(frame, instance.track))
        if all(identity < 0 for identity in identities):
            return None
        return np.array(identities, np.int64)

    def _of_track(self, frame: AnnotatedFrame, track: int) -> int:
        """Return the identity of a track of a frame's file."""
        # Tools write numbers of any length.
        return (track + self._offsets[frame.path]) % 2**63


def _offsets(
    frames: Iterable[AnnotatedFrame],
) -> tuple[dict[pathlib.PurePath, int], int]:
    """Return what to add to the numbers of tracks, so that no two files share a number.

    Returns:
      ({file: the number to add to its tracks}, the first identity that is free).
    """
    highest: dict[pathlib.PurePath, int] = {}
    for frame in frames:
        highest.setdefault(frame.path, -1)
        for instance in frame.instances:
            if instance.track is not None:
                highest[frame.path] = max(highest[frame.path], instance.track)
    offsets = {}
    offset = 0
    for path, track in highest.items():
        offsets[path] = offset
        offset += track + 1
    return offsets, offset


def _names_in_one_frame(frames: Iterable[AnnotatedFrame]) -> set[str]:
    """Return the names that two instances of one frame have; they name nobody."""
    repeated = set()
    for frame in frames:
        names: set[str] = set()
        for instance in frame.instances:
            if instance.name in names:
                repeated.add(instance.name)
            names.add(instance.name or "")
    return repeated - {""}
