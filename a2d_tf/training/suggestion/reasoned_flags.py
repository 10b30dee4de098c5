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
    """Flags that belong together, and the reason for their values.

    Attributes:
      flags: {name of a flag without dashes: its value}.
      reason: the reason for these values, for the user.
    """

    flags: dict[str, Any]
    reason: str

    def words(self) -> list[str]:
        """Return the flags as words of a command line, such as '--steps=500'."""
        return flag_words(self.flags)


def flag_words(flags: Mapping[str, Any]) -> list[str]:
    """Return flags as words of a command line, such as '--steps=500'.

    Args:
      flags: {name of a flag without dashes: its value}.
    """
    return [f"--{name}={flag_text(value)}" for name, value in flags.items()]


def words_of(settings: Sequence[ReasonedFlags]) -> list[str]:
    """Return all flags of suggested settings as words of a command line.

    Args:
      settings: the settings in order; of a flag that occurs twice the later value
        holds.
    """
    words = []
    for part in settings:
        words += part.words()
    return words
