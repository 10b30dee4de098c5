"""Parse command lines with one-line errors, and print help in groups.

absl parses and keeps the flags. Flagfiles are expanded here, so that an error can name the file and
the line; and the help is that of the program, without the flags of its libraries.
"""

from __future__ import annotations

import difflib
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

from a2d_tf.core import flagfiles

SETTINGS = "settings, "  # begins the module names under which config.py defines its sections
_HELP = ("help", "helpshort", "h", "?")
_WIDTH = 100


def parse(
    words: Sequence[str], flag_values: flags.FlagValues = flags.FLAGS, nested: bool = True
) -> list[str]:
    """Parse a command line.

    Args:
      words: the program's name, then flags and other words.
      flag_values: where the flags are defined.
      nested: whether flagfiles may name others.

    Returns:
      The words that are no flags, the program's name first.

    Raises:
      flags.Error: an unknown flag (names the nearest known), a value that it cannot have, an
        unreadable flagfile; in one line, which begins with the flagfile and its line.
    """
    placed = _expanded(words[1:], nested)
    try:
        return flag_values([words[0], *(word for word, _ in placed)])
    except flags.UnrecognizedFlagError as error:
        name, near = error.flagname, _nearest(error.flagname, flag_values)
        problem = f"there is no flag --{name}"
        problem += (
            f"; did you mean --{' or --'.join(near)}?" if near else "; --help shows the flags"
        )
        raise flags.Error(_where(placed, name) + problem) from error
    except (flags.Error, ValueError) as error:  # a ValueError where --noflag has a value
        problem = " ".join(str(error).split())
        problem = re.sub(r"\('Non-boolean argument.*", "neither true nor false", problem)
        named = re.search(r"--(\w+)(?:=(.*?)[:\s]|\s|$)", problem)
        raise flags.Error((_where(placed, *named.groups()) if named else "") + problem) from error


def wants_help(words: Sequence[str]) -> str | None:
    """Return 'help' or 'helpshort' where a command line asks for either, else None."""
    for word in words[1:]:
        if word == "--":
            return None
        if word.startswith("-") and word.lstrip("-") in _HELP:
            return "helpshort" if word.lstrip("-") in ("helpshort", "h") else "help"
    return None


def example(module: str) -> str:
    """Return the first command line in a main module's docstring; '' if there is none."""
    found = re.search(r"python (-m a2d_tf\.|tools/)\w+.*", sys.modules[module].__doc__ or "")
    return found[0].rstrip(".`") if found else ""


def help_text(module: str, short: bool) -> str:
    """Return the text of `--helpshort` or `--help`: a main module's flags, then the settings."""
    by_module = flags.FLAGS.flags_by_module_dict()
    doc = (sys.modules[module].__doc__ or "").strip()
    first = doc.split("\n\n")[0]
    lines = [first if short and "python" in first else doc, ""]
    # absl names the module that Python runs by the path of its file.
    main = sys.argv[0] if module == "__main__" else module
    for name in (main, "a2d_tf.core.config", "a2d_tf.core.shell"):
        lines += [_line(flag.name, _described(flag)) for flag in by_module.get(name, ())]
    lines += [
        _line("flagfile", "file of flags, one a line, such as configs/a2d.flags; later flags win"),
        "",
    ]
    sections = [name for name in by_module if name.startswith(SETTINGS)]
    if sections and f"{SETTINGS}learning" not in sections:
        lines += [
            "Settings that are not given are the model's own; in brackets are a new one's.",
            "",
        ]
    for name in sections:
        lines.append(f"{name}:")
        if short:
            names = " ".join(f"--{flag.name}" for flag in by_module[name])
            wrapped = textwrap.wrap(names, _WIDTH - 2, break_on_hyphens=False)
            lines += [f"  {line}" for line in wrapped]
        else:
            lines += [_line(flag.name, _described(flag)) for flag in by_module[name]]
    if sections:
        more = "--help explains them, " if short else ""
        lines += ["", f"{more}docs/flags.md has them in tables; true or false: --flip, --noflip"]
    return "\n".join([*lines, "--helpfull adds the flags of the libraries"])


def written(value: Any) -> str:
    """Format a flag's value as it is written on a command line."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list):
        return ",".join(map(written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(flag):
    text = " ".join((flag.help or "").split())
    # absl's own words, after those of flags that may be given several times.
    text = re.sub(r";\s*repeat this option to specify a list of values$", "", text)
    return text if flag.default in (None, "", []) else f"{text} ({written(flag.default)})"


def _line(name, text):
    return textwrap.fill(text, _WIDTH, initial_indent=f"  --{name:23} ", subsequent_indent=" " * 28)


def _expanded(words, nested, inside=()):
    """[(word, 'file, line n: ' or '')], flagfiles replaced by their contents.

    Args:
      nested: whether flagfiles may name others.
      inside: the flagfiles that the words are in, the outermost first.
    """
    placed, words = [], iter(words)
    for word in words:
        if word == "--":
            return [*placed, (word, ""), *((other, "") for other in words)]
        name, _, path = word.lstrip("-").partition("=")
        if not word.startswith("-") or name != "flagfile":
            placed.append((word, ""))
            continue
        path = path if "=" in word else next(words, "")
        placed += _flagfile(path.strip(), nested, inside) if path.strip() else []
    return placed


def _flagfile(path, nested, inside):
    """The words of a flagfile, as of `_expanded`."""
    path = flagfiles.find(path)
    if path in inside:
        raise flags.Error(f"{inside[-1]}: --flagfile={path} is this file, or one that names it")
    if inside and not nested:
        raise flags.Error(f"{inside[-1]}: --flagfile={path}: no other file is read from here")
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise flags.Error(f"--flagfile={path}: not a readable file of flags ({reason})") from error
    placed = []
    for number, line in enumerate(lines, 1):
        if line and not line.startswith(("#", "//")):
            for word, where in _expanded([line], nested, (*inside, path)):
                placed.append((word, where or f"{path}, line {number}: "))
    return placed


def _where(placed, name, value=None):
    """'file, line n: ' of the flag of this name, and of this value if one is given."""
    ends = {name, f"no{name}"} if value is None else {f"{name}={value}"}
    for word, where in placed:
        word = word.lstrip("-")
        if word in ends or (value is None and word.partition("=")[0] in ends):
            return where
    return ""


def _nearest(name, flag_values):
    """Up to three known flags that a mistyped name may have meant, the likeliest first."""
    known = [flag for flag in flag_values if len(flag) > 1]
    known += [f"no{flag}" for flag in known if flag_values[flag].boolean]
    close = difflib.get_close_matches(name, known, 3, 0.75)
    return close[:1] or sorted(flag for flag in known if len(name) > 2 and name in flag)[:3]
