"""Read the frames of a video file, with the times that the file gives them."""

from __future__ import annotations

import array
import pathlib
from collections.abc import Generator

import numpy as np

from a2d_tf.data.decoding import decoder
from a2d_tf.data.decoding.timeline import Timeline
from a2d_tf.video.reading.reader import Picture, Reader, rounded_down

REMEDY = "re-encode it"


class FileReader(Reader):
    """Reader of a video file.

    The frame before the newest decoded one is yielded, so that its end is known.

    Args:
      path: path of the file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        # Seconds at which the frames begin, and at which the last one ends.
        self._times = array.array("d")
        self._timeline: Timeline | None = None

    def seconds(self, index: int) -> float:
        """Return the time of a frame in the file, in seconds from the first frame.

        Args:
          index: 0-based index of the frame. The number of frames gives the end of the
            last one; for a frame not yet read, the result is the newest known time.
        """
        return self._times[min(index, len(self._times) - 1)]

    def index(self, seconds: float) -> int:
        """Return the 0-based index of the first frame that begins at a time or later.

        It reads the times of the frames in the file up to this time. If the file ends
        before, `count` and `duration` are set to what was read.

        Args:
          seconds: the time, from the first frame.
        """
        seconds = rounded_down(seconds)
        if seconds <= 0:
            return 0
        if self._timeline is None or self._timeline.until < seconds:
            with decoder.Decoder(self.path, REMEDY) as video:
                self._timeline = video.timeline(seconds)
            if self._timeline.end is not None:
                self.count = len(self._timeline.seconds)
                self.duration = self._timeline.end
        return int(np.searchsorted(self._timeline.seconds, seconds))

    @property
    def fps(self) -> float:
        """The number of frames a second.

        It is the rate that the file claims, or the measured one if the times of the
        frames read so far contradict the claim.
        """
        intervals = len(self._times) - 1
        seconds = self._times[-1]
        if abs(self._stated_fps * seconds - intervals) > 1:
            return intervals / seconds
        return self._stated_fps

    def _can_begin_at(self, start: int) -> bool:
        return self._timeline is not None and 1 < start < len(self._timeline.stamps)

    def _open(self, start: int) -> Generator[Picture, None, None]:
        if self._timeline is not None and start > 0:
            self._times = array.array("d", self._timeline.seconds[:start].tolist())
        return self._decode(start)

    def _decode(self, start: int) -> Generator[Picture, None, None]:
        """Yield each frame after the next one is decoded, which gives its end."""
        with decoder.Decoder(self.path, REMEDY) as video:
            self._stated_fps = video.fps
            if self._timeline is None:
                self.count = video.count
                self.duration = video.duration
            previous = None
            for index, frame in enumerate(video.frames(start, self._timeline), start):
                if index == 0:
                    self.first_frame_time = video.first_frame_time or 0.0
                self._times.append(frame.seconds)
                if frame.is_damaged:
                    self.damaged.add(index)
                if previous is not None:
                    yield previous.rgb
                previous = frame
            if previous is not None:
                self._times.append(previous.seconds + previous.duration)
                yield previous.rgb
