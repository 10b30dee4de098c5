"""Flags that are suggested together, with the reason for their values.

No TensorFlow here, since `a2d start` leaves it to the commands it runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from a2d_tf.core.command.register import flag_text


@dataclasses.dataclass(frozen=True)
class ReasonedFlags:
    """Flags that belong together, {name: value}, and the reason for their values."""

    flags: dict[str, Any]
    reason: str

    def words(self) -> list[str]:
        """Return the flags as they are written on a command line."""
        return flag_words(self.flags)


def flag_words(flags: Mapping[str, Any]) -> list[str]:
    """Return flags, {name: value}, as they are written on a command line."""
    return [f"--{name}={flag_text(value)}" for name, value in flags.items()]


def words_of(settings: Sequence[ReasonedFlags]) -> list[str]:
    """Return all flags of settings as they are written on a command line."""
    words = []
    for part in settings:
        words += part.words()
    return words
