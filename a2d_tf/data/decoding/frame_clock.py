"""Times at which a player shows the frames of a video file."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple


class ShownTime(NamedTuple):
    """When a player shows a frame.

    Attributes:
      seconds: time at which the frame appears, counted from the video's first frame.
      duration: seconds for which it is shown.
    """

    seconds: float
    duration: float


class FrameClock:
    """Converts the stamps of a file's frames to the times at which a player shows them.

    A stamp is a frame's time as the file stores it. If the file is several recordings
    joined together, the times of a recording continue from the end of the one before.
    Call `show` once for each frame, in the order in which they are shown.

    Args:
      time_base: unit of the stamps in seconds.
      fps: frames a second, for frames without a stamp.
      first_stamp: stamp of the recording's first frame; None if that is the next frame.
    """

    def __init__(
        self, time_base: Fraction, fps: float, first_stamp: int | None
    ) -> None:
        self._time_base = time_base
        self._usual_step = 1 / fps
        self._first_stamp = first_stamp
        self._recording_start = 0.0
        self._last_seconds = -math.inf
        self._last_step = 1 / fps
        self._last_end = 0.0

    def begin_recording(self) -> None:
        """Take the next frame as the first one of another recording in the file."""
        self._first_stamp = None

    def show(self, stamp: int | None, claimed_duration: float | None) -> ShownTime:
        """Return when the next frame is shown, and for how long.

        Times always ascend: a frame whose stamp is not later follows the previous one
        by a usual step.

        Args:
          stamp: the frame's stamp, in units of the time base; None if it has none.
          claimed_duration: the frame's duration in seconds according to the file; None
            if it states none.
        """
        if self._first_stamp is None:
            self._first_stamp = stamp
            self._recording_start = self._last_end
        if stamp is None or self._first_stamp is None:
            seconds = max(0.0, self._last_seconds + self._last_step)
        else:
            base = self._time_base
            units = stamp - self._first_stamp
            seconds = self._recording_start + units * base.numerator / base.denominator
            if seconds <= self._last_seconds:
                step = min(self._last_step, self._usual_step)
                seconds = self._last_seconds + step
        if self._last_seconds >= 0:
            self._last_step = seconds - self._last_seconds
        duration = claimed_duration
        if duration is None:
            duration = self._last_step
        self._last_seconds = seconds
        self._last_end = seconds + duration
        return ShownTime(seconds, duration)
