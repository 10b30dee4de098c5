"""The error that a user can act on, and the largest sizes that a file may claim.

Larger claims are refused before memory is taken.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence

_short = reprlib.Repr()
_short.maxstring = 80
_short.maxother = 80
quoted = _short.repr
"""repr() of a value from a file, cut where it is long or deep."""

MAX_SIDE = 8192  # pixels; 8K video has 7680
MAX_PIXELS = MAX_SIDE**2  # of an image, a frame, a label map
MAX_NAME = 200  # bytes of a video's name: 255 fit a file system, with a suffix
MAX_FLOW = 1e4  # pixels, of a served flow vector; a longer one would leave any frame


class InputError(ValueError):
    """Input that cannot be used; the message names file, field and remedy."""


def join_names(names: Sequence[str], most: int = 10) -> str:
    """Join the first names by commas and count the others; 'none' if there are none."""
    text = ", ".join(names[:most]) or "none"
    if len(names) > most:
        text += f" and {len(names) - most} more"
    return text


def check_size(path: str | os.PathLike, height: int, width: int, remedy: str) -> None:
    """Raise InputError if an image claims no pixels, or more than MAX_PIXELS."""
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise InputError(
            f"{path}: size {height}x{width} (height x width) is zero or more than "
            f"{MAX_PIXELS} pixels; {remedy}"
        )
