"""A setting: a field of a dataclass that says all that its flag needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

_ABOUT = "setting"
"""Key of a field's metadata, under which its `About` is."""


@dataclasses.dataclass(frozen=True)
class About:
    """What is said of a setting beside its name, its type and its default.

    Attributes:
      help: what it means.
      choices: the values of a text; empty if any is allowed.
      least, most: the limits of a number; None for no limit.
    """

    help: str
    choices: Sequence[str] = ()
    least: float | None = None
    most: float | None = None


def setting(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """Define a setting, a bool, int, float or str; the arguments are those of `About`.

    It takes the place of `dataclasses.field`.
    """
    about = About(help, choices, least, most)
    return dataclasses.field(default=default, metadata={_ABOUT: about})


def not_negative(default: float, help: str) -> Any:
    """Return the field of a setting whose value is a number of 0 or more."""
    return setting(default, help, least=0)


def share(default: float, help: str) -> Any:
    """Define a number from 0 to 1."""
    return setting(default, help, least=0, most=1)


def channels(default: int, help: str) -> Any:
    """Define a number of channels."""
    return setting(default, help, least=8, most=2048)


def about(field: dataclasses.Field) -> About:
    """Return what is said of a setting."""
    return field.metadata[_ABOUT]
