"""The flags of settings: defined, read, and written as words of a command line."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from a2d_tf.core.command.register import Register, flag_text
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.setting import about


def define(register: Register, title: str, section: type) -> None:
    """Define a flag of the same name for each setting of a dataclass.

    Args:
      register: the register of a command's flags, which gets these flags, too.
      title: title of the group of these flags in `--help`, such as 'training'.
      section: the dataclass, whose fields are settings.
    """
    # --help groups flags by the name of their module.
    module_name = f"settings, {title}"
    for field in dataclasses.fields(section):
        details = about(field)
        default: Any = field.default
        kind = type(default)
        options: dict[str, Any] = {"help": details.help, "module_name": module_name}
        limits: dict[str, Any] = {
            "lower_bound": details.least,
            "upper_bound": details.most,
        }
        if details.choices:
            register.define_enum(field.name, default, details.choices, **options)
        elif kind is bool:
            register.define_bool(field.name, default, **options)
        elif kind is int:
            register.define_integer(field.name, default, **options, **limits)
        elif kind is float:
            register.define_float(field.name, default, **options, **limits)
        else:
            register.define_string(field.name, default, **options)


def read(register: Register, section: type) -> Any:
    """Build a dataclass of settings from the values of their flags.

    Args:
      register: the flags, after parsing.
      section: the dataclass, whose fields are settings.

    Returns:
      an instance of `section`.

    Raises:
      InputError: a number is not finite.
    """
    values = {}
    for field in dataclasses.fields(section):
        value = register[field.name].value
        # No limit holds for NaN.
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{field.name}={value} is not finite")
        values[field.name] = value
    return section(**values)


def named(register: Register, section: type) -> dict[str, Any]:
    """Return the settings that the user gave, not those that have their defaults.

    Args:
      register: the flags, after parsing of a command line and its flagfiles.
      section: the dataclass, whose fields are settings.

    Returns:
      {name: value}.
    """
    values = {}
    for field in dataclasses.fields(section):
        if field.name in register and register[field.name].present:
            values[field.name] = register[field.name].value
    return values


def words(settings: Any) -> list[str]:
    """Return settings as flags of a command line, such as ['--steps=9', '--flip=true'].

    Args:
      settings: an instance of a dataclass of settings.
    """
    flags = []
    for name, value in dataclasses.asdict(settings).items():
        text = flag_text(value)
        if isinstance(value, float):
            text = repr(value)  # also 1.0, as flags.txt always had it
        flags.append(f"--{name}={text}")
    return flags
