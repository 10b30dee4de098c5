"""Prepare frames as records hold them and networks see them: resized, with flow.

Conversion (`clips`) and prediction (`video.frames`) both prepare frames here, so that a
network gets in prediction exactly the input that it was trained on. tools/client.py
does the same without this package; a test compares the two.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from a2d_tf.data.preparation.flow import Flow, grey
from a2d_tf.data.preparation.resizing import fitted_size, resize_frame


@dataclasses.dataclass(frozen=True)
class StoredFrame:
    """A frame of a video, resized as records store it.

    Attributes:
      native: the frame as decoded, RGB uint8 [H, W, 3].
      rgb: the frame at the stored size, RGB uint8 [h, w, 3].
    """

    native: np.ndarray
    rgb: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) of the resized frame, pixels."""
        height, width = self.rgb.shape[:2]
        return height, width

    @functools.cached_property
    def grey_frame(self) -> np.ndarray:
        """The grey image on which flow is computed, uint8 [rows, columns]."""
        return grey(self.native, self.size)


class FramePreparer:
    """Prepares the frames of videos as records with certain settings hold them.

    Args:
      max_height, max_width: largest size of stored frames, pixels; frames keep their
        aspect ratio.
      flow_method: 'dis' or 'tvl1', see `flow.METHODS`; None for flow that is zero.

    Raises:
      InputError: the flow method is not installed.
    """

    def __init__(
        self, max_height: int, max_width: int, flow_method: str | None
    ) -> None:
        self._max_height = max_height
        self._max_width = max_width
        self._flow = None if flow_method is None else Flow(flow_method)

    def prepare(self, native: np.ndarray) -> StoredFrame:
        """Resize a decoded frame to the largest size that keeps its aspect ratio.

        Args:
          native: the frame, RGB uint8 [H, W, 3].
        """
        height, width = native.shape[:2]
        size = fitted_size(height, width, self._max_height, self._max_width)
        return StoredFrame(native, resize_frame(native, *size))

    def no_flow(self, frame: StoredFrame) -> np.ndarray:
        """Return flow that is zero everywhere.

        Args:
          frame: the frame whose size [h, w] the flow has.

        Returns:
          float32 [h, w, 2].
        """
        return np.zeros((*frame.size, 2), np.float32)

    def flow(self, previous: StoredFrame | None, frame: StoredFrame) -> np.ndarray:
        """Compute how far each pixel moved since the previous frame of the video.

        Args:
          previous: the frame before; None for the first frame of a video.
          frame: the frame whose pixels the flow belongs to.

        Returns:
          float32 [h, w, 2], (u, v), u to the right and v down, in pixels of the stored
          frame; zero if there is no previous frame or no flow method.
        """
        if self._flow is None or previous is None:
            return self.no_flow(frame)
        return self._flow(previous.grey_frame, frame.grey_frame, frame.size)
