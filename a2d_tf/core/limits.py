"""The largest sizes that files may claim, of images, frames and names.

Larger claims are refused before memory is taken.
"""

from __future__ import annotations

import os

from a2d_tf.core.errors import InputError

MAX_SIDE = 8192  # pixels; 8K video has 7680
MAX_PIXELS = MAX_SIDE**2  # of an image, a frame, a label map
MAX_NAME = 200  # bytes of a video's name: 255 fit a file system, with a suffix
# Pixels, of a flow vector in a serving request; a longer one would leave any frame.
MAX_SERVED_FLOW = 1e4


def check_size(path: str | os.PathLike, height: int, width: int, remedy: str) -> None:
    """Check that an image has pixels, and not too many, before memory is taken for it.

    Args:
      path: file of the image, for the error message.
      height, width: size that the file claims, pixels.
      remedy: what the user can do about it; the error message ends with it.

    Raises:
      InputError: a side is below 1, or there are more than MAX_PIXELS.
    """
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise InputError(
            f"{path}: size {height}x{width} (height x width) is zero or more than "
            f"{MAX_PIXELS} pixels; {remedy}"
        )
