"""Follow instances whose tracks are given: nothing is linked."""

from __future__ import annotations

import collections
from collections.abc import Mapping

from a2d_tf.tracking.structures import (
    Detection,
    LinkedInstances,
    NumberedInstances,
    Track,
)
from a2d_tf.tracking.tracker import WINDOW


class GivenTracker:
    """Takes the tracks of instances as they are given.

    A track rests while it has no instance, and ends after its last one.

    Args:
      last_frames: {number of a track: the last frame with it}.
      first: the number of the first answered frame.
      every: of so many frames one is answered.
      window: answered frames of which a track keeps its detections.
    """

    def __init__(
        self,
        last_frames: Mapping[int, int],
        *,
        first: int = 1,
        every: int = 1,
        window: int = WINDOW,
    ) -> None:
        self._last_frames = last_frames
        self._first = first
        self._every = every
        self._window = window
        self._tracks: dict[int, Track] = {}  # those that have not ended
        self._present: set[int] = set()  # in the newest frame
        self._index = -1

    def add(self, instances: NumberedInstances) -> LinkedInstances:
        """Follow the tracks into the next answered frame."""
        self._index += 1
        number = self._first + self._index * self._every
        present = set(instances.tracks.tolist())
        resting = []
        ended = []
        for track_id in sorted(self._tracks):
            if self._last_frames[track_id] < number:
                ended.append(track_id)
            elif track_id in self._present - present:
                resting.append(track_id)
        for track_id in ended:
            del self._tracks[track_id]
        self._present = present

        tracks = []
        for i, track_id in enumerate(instances.tracks.tolist()):
            track = self._tracks.get(track_id)
            if track is None:
                track = Track(track_id, collections.deque(maxlen=self._window))
                self._tracks[track_id] = track
            track.detections.append(Detection.of(instances, i, self._index))
            tracks.append(track)
        return LinkedInstances(tracks, resting, ended, extra=0)
