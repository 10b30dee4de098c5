"""A decoded frame of a video file, and its conversion to RGB as a player shows it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter


@dataclasses.dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame of a video file.

    Attributes:
      seconds: time at which a player shows the frame, counted from the first frame.
      duration: seconds for which the frame is shown according to the file; the next
        frame may come earlier or later.
      stamp: the frame's time as the file stores it, in the stream's time base; None if
        it has none.
      is_damaged: whether the file or the decoder reports damage. Frames that refer to a
        damaged frame may be damaged, too.
    """

    seconds: float
    duration: float
    stamp: int | None
    is_damaged: bool
    _ffmpeg_frame: Any
    _converter: VideoReformatter

    def rgb(self) -> np.ndarray:
        """Return the frame as RGB uint8 [H, W, 3], turned as a player shows it."""
        # Like the program ffmpeg, this uses the frame's colour matrix and range, or
        # BT.601 if it names none. RGB has neither, but PyAV converts between matrices
        # only if the two differ.
        frame = self._ffmpeg_frame
        rgb = self._converter.reformat(
            frame,
            format="rgb24",
            src_colorspace=frame.colorspace,
            dst_colorspace=Colorspace.FCC,
            src_color_range=frame.color_range,
            dst_color_range=frame.color_range,
            interpolation=Interpolation.BICUBIC,
        ).to_ndarray()
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is not None:
            rgb = _turn(rgb, np.frombuffer(matrix, np.int32))
        return np.ascontiguousarray(rgb)


def _turn(rgb: np.ndarray, display_matrix: np.ndarray) -> np.ndarray:
    """Turn an image by the nearest quarter turn of a display matrix, and mirror it."""
    # A pixel (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d = display_matrix[:5].tolist()
    x_direction = a
    y_direction = d
    if abs(b) + abs(c) > abs(a) + abs(d):  # a quarter turn
        rgb = rgb.transpose(1, 0, 2)
        x_direction = c
        y_direction = b
    if y_direction < 0:
        rgb = rgb[::-1]
    if x_direction < 0:
        rgb = rgb[:, ::-1]
    return rgb
