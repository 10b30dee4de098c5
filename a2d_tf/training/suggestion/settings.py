"""Flags that are suggested together, with the reason for their values.

No TensorFlow here, since `a2d start` leaves it to the commands it runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from a2d_tf.core.command.register import flag_text
from a2d_tf.data.record_folder.manifest import Manifest

MOST_SIDE = 448
"""Pixels of the sides of the frames that records have at most, of few videos."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Flags that belong together, {name: value}, and the reason for their values."""

    flags: dict[str, Any]
    reason: str

    def words(self) -> list[str]:
        """Return the flags as they are written on a command line."""
        return flag_words(self.flags)


def flag_words(flags: Mapping[str, Any]) -> list[str]:
    """Return flags, {name: value}, as they are written on a command line."""
    return [f"--{name}={flag_text(value)}" for name, value in flags.items()]


def words_of(settings: Sequence[Settings]) -> list[str]:
    """Return all flags of settings as they are written on a command line."""
    words = []
    for part in settings:
        words += part.words()
    return words


def motion_flags(manifest: Manifest) -> dict[str, Any]:
    """Return the flags of a2d records that gave records their motion maps.

    They are also those of a2d train that make a network read them.
    """
    flags: dict[str, Any] = {}
    motion = manifest.motion
    if motion is None:
        return flags
    if motion.action_backbone:
        flags["action_backbone"] = motion.action_backbone
    if motion.flow_histograms:
        flags["flow_histograms"] = True
    return flags
