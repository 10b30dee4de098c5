"""The text of `--help`, and whether a command line asks for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from a2d_tf.core.flagfiles import before_dashes
from a2d_tf.core.register import Register

_HELP = {"help", "?", "helpshort", "helpfull", "h"}
_MORE_HELP = (
    "--flagfile=FILE reads flags from a file, one per line, such as"
    " configs/a2d.flags;\ndocs/flags.md lists the settings"
)


def wants_help(words: Sequence[str]) -> bool:
    """Return whether a command line asks for help."""
    for word in before_dashes(words[1:]):
        if word.startswith("-") and word.lstrip("-") in _HELP:
            return True
    return False


def help_text(module: str, flag_values: Register) -> str:
    """Return the text of `--help`.

    It has a module's docstring, the flags of its command, then the settings.
    """
    own_texts = []
    setting_texts = []
    for name in flag_values.flags_by_module_dict():
        title, _, text = flag_values.module_help(name).strip().partition("\n")
        if name == Register.__module__:
            own_texts.append(text)
        else:
            setting_texts.append(f"{title}\n{text}")
    if setting_texts:
        setting_texts.append(
            "The defaults are for a new model; a run's own settings are in its"
            " flags.txt."
        )
    about = (sys.modules[module].__doc__ or "").strip()
    return "\n\n".join([about, *own_texts, *setting_texts, _MORE_HELP])
