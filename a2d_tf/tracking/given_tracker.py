"""A tracker for instances whose tracks a user gave; it links nothing."""

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
    """Reports the given tracks of each answered frame, as `Tracker` reports its own.

    Given tracks come from another program's file; the instances already have their
    numbers. A track rests while it has no instance, and ends after its last one.

    Args:
      last_frames: {number of a track: number of the last frame of the video with it}.
      first: number of the first answered frame in the video, from 1.
      every: distance of answered frames; 1 if all frames are answered.
      window: number of a track's newest detections that it keeps.
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
        """Report the tracks of the instances of the next answered (predicted) frame.

        Call it once for each answered frame, in the order of the video.

        Args:
          instances: the instances of the frame, which may be none.

        Returns:
          the track of each instance, and the tracks that rest or have ended from this
          frame on.
        """
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
