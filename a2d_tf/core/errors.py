"""Errors a user can act on."""

from __future__ import annotations

import reprlib
from typing import Any

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80
shown = _short.repr
"""repr() of a value from a file, cut where it is long or deep."""


class InputError(ValueError):
    """Input that cannot be used. The message names the file, the field and the remedy."""


def __getattr__(name: str) -> Any:
    # Until build_records and make_mini_a2d import `shell` themselves.
    if name in ("require", "run"):
        from a2d_tf.core import shell

        return getattr(shell, name)
    raise AttributeError(name)
