"""The error that a user can act on, and helpers that name values in its message."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

_short = reprlib.Repr()
_short.maxstring = 80
_short.maxother = 80
quoted = _short.repr
"""repr() of a value from a file, cut where it is long or deep."""


class InputError(ValueError):
    """An error in what the user gave: a file, a flag or a value that cannot be used.

    Its message names file, field and remedy; a command prints it as its last line,
    without a traceback.
    """


def join_names(names: Sequence[str], most: int = 10) -> str:
    """Join the first names by commas and count the others, as 'a, b and 7 more'.

    Args:
      names: the names; 'none' is returned if there are none.
      most: largest number of names in the text.
    """
    text = ", ".join(names[:most]) or "none"
    if len(names) > most:
        text += f" and {len(names) - most} more"
    return text
