"""Read the frames of a camera as they come."""

from __future__ import annotations

import array
import functools
import pathlib
import time
from collections.abc import Generator

import cv2
import numpy as np

from a2d_tf.data.decoding import decoder
from a2d_tf.video.reading.reader import Picture, Reader


class CameraReader(Reader):
    """Reader of a camera's frames; the video ends when the camera is unplugged.

    Frames are dropped if they come faster than the caller asks for them.

    Args:
      path: the index of the camera as digits, by which the user named it.
      number: the same index as OpenCV counts cameras, from 0.
    """

    def __init__(self, path: pathlib.Path, number: int) -> None:
        super().__init__(path)
        self._number = number
        self._times = array.array("d")  # seconds at which the frames begin

    def seconds(self, index: int) -> float:
        """Return the time at which a frame came, in seconds from the first frame.

        Args:
          index: 0-based index of the frame. A frame that has not come yet is expected
            one period of the frame rate after the newest one.
        """
        if index >= len(self._times):
            return self._times[-1] + 1 / self.fps
        return self._times[index]

    def _open(self, start: int) -> Generator[Picture, None, None]:
        capture = cv2.VideoCapture(self._number)
        first_time = None
        try:
            self._stated_fps = decoder.stated_rate(capture.get(cv2.CAP_PROP_FPS))
            while capture.grab():  # not if it is unplugged, or there is no such camera
                # By the clock: frames are dropped where the network is slower than the
                # camera.
                now = time.monotonic()
                if first_time is None:
                    first_time = now
                self._times.append(now - first_time)
                yield functools.partial(_retrieve, capture)
        finally:
            capture.release()


def _retrieve(capture: cv2.VideoCapture) -> np.ndarray | None:
    """Return the frame that a camera has grabbed; None if it is lost."""
    is_decoded, frame = capture.retrieve()
    if not is_decoded:
        return None
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
