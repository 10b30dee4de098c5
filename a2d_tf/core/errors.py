"""Errors a user can act on."""

from __future__ import annotations

import reprlib

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
shown = _short.repr
"""repr() of a value from a file, cut where it is long or deep."""


class InputError(ValueError):
    """Input that cannot be used. The message names the file, the field and the remedy."""
