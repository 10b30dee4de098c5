"""The flags of a command, each of which has a register of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from absl import flags


def _definer(
    define: Callable[..., flags.FlagHolder],
) -> Callable[..., flags.FlagHolder]:
    """Return a method of `Register` that defines a flag by a function of absl."""

    def define_here(
        register: flags.FlagValues, *arguments: Any, **options: Any
    ) -> flags.FlagHolder:
        return define(*arguments, flag_values=register, **options)

    return define_here


class Register(flags.FlagValues):
    """The flags of one command, and after parsing their values.

    Each command has its own, so that several can be imported in one process. Each of
    the methods `define_...` defines a flag. It takes the arguments of absl's function
    `DEFINE_...`: name, default, the values of an enum, help, and options by name. It
    returns a holder of the flag's value.

    absl groups the flags of `--help` by the module that calls it: this one, so that a
    command's flags are a single group, wherever they are defined. The flags of settings
    have a group for each section, by the option `module_name`.
    """

    define_bool = _definer(flags.DEFINE_bool)
    define_integer = _definer(flags.DEFINE_integer)
    define_float = _definer(flags.DEFINE_float)
    define_string = _definer(flags.DEFINE_string)
    define_enum = _definer(flags.DEFINE_enum)
    define_list = _definer(flags.DEFINE_list)
    define_multi_string = _definer(flags.DEFINE_multi_string)


def flag_text(value: Any) -> str:
    """Return a flag's value as a user would write it on a command line.

    Args:
      value: a bool, number, text, or list of these.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, list):
        return ",".join(map(flag_text, value))
    return str(value)
