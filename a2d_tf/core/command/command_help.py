"""The text of `--help`, and whether a command line asks for it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence

from absl import flags

from a2d_tf.core.command.flagfiles import before_dashes
from a2d_tf.core.command.register import Register, flag_text

_HELP = {"help", "?", "helpshort", "helpfull", "h"}
_MORE_HELP = (
    "--flagfile=FILE reads flags from a file, one per line, such as"
    " configs/a2d.flags;\na2d train --help lists all settings"
)


def wants_help(words: Sequence[str]) -> bool:
    """Return whether a command line asks for help, as by --help or -h.

    Args:
      words: the program's name, then flags and other words; those after `--` are not
        looked at.
    """
    for word in before_dashes(words[1:]):
        if word.startswith("-") and word.lstrip("-") in _HELP:
            return True
    return False


def help_text(module: str, register: Register) -> str:
    """Return the text that a command prints for `--help`.

    It has a module's docstring, the flags of the command itself, then those of the
    settings, section by section.

    Args:
      module: name of the imported module whose docstring describes the command.
      register: the command's flags.
    """
    own_texts = []
    setting_texts = []
    for group, group_flags in register.flags_by_module_dict().items():
        text = _flags_text(group_flags)
        if group == Register.__module__:
            own_texts.append(text)
        else:
            setting_texts.append(f"{group}:\n{text}")
    if setting_texts:
        setting_texts.append(
            "The defaults are for a new model; a run's own settings are in its"
            " flags.txt."
        )
    about = (sys.modules[module].__doc__ or "").strip()
    return "\n\n".join([about, *own_texts, *setting_texts, _MORE_HELP])


def _flags_text(group_flags: Iterable[flags.Flag]) -> str:
    """Return a paragraph for each flag, by name."""
    ordered = sorted(group_flags, key=lambda flag: flag.name)
    return "\n".join(_flag_paragraph(flag) for flag in ordered)


def _flag_paragraph(flag: flags.Flag) -> str:
    """Return a flag's name and help, and a line of its values and its default."""
    name = f"[no]{flag.name}" if flag.boolean else flag.name
    # absl ends the help of a flag that may be repeated with words of its own.
    description = flag.help.partition(";\n    repeat this option")[0]
    details = []
    if flag.parser.syntactic_help:
        details.append(flag.parser.syntactic_help)
    if isinstance(flag, flags.MultiFlag):
        details.append("may be repeated")
    if flag.default not in (None, "", []):
        details.append(f"default {flag_text(flag.default)}")
    lines = _wrapped(f"--{name}: {description}", "  ")
    if details:
        lines.extend(_wrapped(f"({'; '.join(details)})", "    "))
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    """Return the lines of a text; those but the first are indented by four."""
    return textwrap.wrap(
        text, width=88, initial_indent=indent, subsequent_indent="    "
    )
