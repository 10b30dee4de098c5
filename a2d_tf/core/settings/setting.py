"""A setting: a field of a dataclass that also says what its command-line flag needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

_ABOUT = "setting"
"""Key of a field's metadata, under which its `About` is."""


@dataclasses.dataclass(frozen=True)
class About:
    """What a setting's flag needs beside the name, the type and the default.

    Attributes:
      help: what the setting means, for --help.
      choices: the values that a text may have; empty if any is allowed.
      least: smallest value of a number; None for no limit.
      most: largest value of a number; None for no limit.
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
    """Define a setting, a field of a dataclass, in place of `dataclasses.field`.

    Args:
      default: the default; its type, bool, int, float or str, is that of the setting.
      help: what the setting means, for --help.
      choices: the values that a text may have; empty if any is allowed.
      least: smallest value of a number; None for no limit.
      most: largest value of a number; None for no limit.

    Returns:
      the field.
    """
    about = About(help, choices, least, most)
    return dataclasses.field(default=default, metadata={_ABOUT: about})


def not_negative(default: float, help: str) -> Any:
    """Define a setting that is a number of 0 or more.

    Args:
      default: the default, an int or a float, which is the setting's type.
      help: what the setting means, for --help.

    Returns:
      the field of the dataclass.
    """
    return setting(default, help, least=0)


def share(default: float, help: str) -> Any:
    """Define a setting that is a number from 0 to 1.

    Args:
      default: the default.
      help: what the setting means, for --help.

    Returns:
      the field of the dataclass.
    """
    return setting(default, help, least=0, most=1)


def channels(default: int, help: str) -> Any:
    """Define a setting that is the number of a layer's channels, 8 to 2048.

    Args:
      default: the default.
      help: what the setting means, for --help.

    Returns:
      the field of the dataclass.
    """
    return setting(default, help, least=8, most=2048)


def about(field: dataclasses.Field) -> About:
    """Return the help, choices and limits of a field that `setting` defined."""
    return field.metadata[_ABOUT]
