"""Command lines: words to flags, each complaint one line, and the help in groups.

absl parses and keeps the flags. Here flagfiles are put in place of their names, so that a complaint
can say in which file and line the word stands; and help is of this program, not of its libraries.
"""

import difflib
import os
import re
import stat
import sys
import textwrap

from absl import flags

from a2d_tf.core import flagfiles

SETTINGS = "settings, "  # begins the module names under which config.py defines its sections
_HELP = ("help", "helpshort", "h", "?")
_MAX_FLAGFILE = 1 << 20  # bytes; the longest flags.txt has 4 kB
_MAX_FLAGFILES = 100  # read for one command line, which may name those that name others
_MAX_NAME = 80  # characters of a flag's name
_WIDTH = 100


def parse(words, flag_values=flags.FLAGS, nested=True):
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
    placed = _expanded(words[1:], [_MAX_FLAGFILES] if nested else None)
    for word, where in placed:
        name = word.partition("=")[0]
        if name == "--":
            break
        if name.startswith("-") and len(name) > _MAX_NAME:  # absl would compare it with each flag's
            raise flags.Error(f"{where}there is no flag {name[:40]}...; --help shows the flags")
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


def wants_help(words):
    """'help' or 'helpshort' where a command line asks for either, else None."""
    for word in words[1:]:
        if word == "--":
            return None
        if word.startswith("-") and word.lstrip("-") in _HELP:
            return "helpshort" if word.lstrip("-") in ("helpshort", "h") else "help"
    return None


def example(module):
    """The first command line that a main module's docstring gives; '' where it gives none."""
    found = re.search(r"python (-m a2d_tf\.|tools/)\w+.*", sys.modules[module].__doc__ or "")
    return found[0].rstrip(".`") if found else ""


def help_text(module, short, flag_values=flags.FLAGS):
    """The text of `--helpshort` or `--help`: the flags of a main module, then the settings."""
    by_module = flag_values.flags_by_module_dict()
    doc = (sys.modules[module].__doc__ or "").strip()
    lines = [doc.split("\n\n")[0] if short and "python" in doc.split("\n\n")[0] else doc, ""]
    # absl names the module that Python runs by the path of its file.
    own_name = sys.argv[0] if module == "__main__" else module
    modules = (own_name, "a2d_tf.core.config", "a2d_tf.core.errors")
    own = [flag for name in modules for flag in by_module.get(name, ())]
    lines += [_line(flag.name, _described(flag)) for flag in own]
    lines += [
        _line("flagfile", "file of flags, one a line, such as configs/a2d.flags; later flags win"),
        "",
    ]
    sections = {name: found for name, found in by_module.items() if name.startswith(SETTINGS)}
    for name, found in sections.items():
        lines.append(f"{name}:")
        if short:
            names = " ".join(f"--{flag.name}" for flag in found)
            lines.append(
                textwrap.fill(
                    names,
                    _WIDTH,
                    initial_indent="  ",
                    subsequent_indent="  ",
                    break_on_hyphens=False,
                )
            )
        else:
            lines += [_line(flag.name, _described(flag)) for flag in found]
    if sections:
        more = "--help explains them, " if short else ""
        lines += ["", f"{more}docs/flags.md has them in tables; true or false: --flip, --noflip"]
    return "\n".join([*lines, "--helpfull adds the flags of the libraries"])


def written(value):
    """A flag's value as it is written on a command line."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _described(flag):
    text = " ".join((flag.help or "").split())
    return text if flag.default in (None, "", []) else f"{text} ({written(flag.default)})"


def _line(name, text):
    return textwrap.fill(text, _WIDTH, initial_indent=f"  --{name:23} ", subsequent_indent=" " * 28)


def _expanded(words, left, of=()):
    """[(word, 'file, line n: ' or '')], flagfiles replaced by what they hold.

    Args:
      left: [how many flagfiles may still be read]; None where they may not name others.
      of: the flagfiles that the words are in, the outermost first.
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
        placed += _flagfile(path.strip(), left, of) if path.strip() else []
    return placed


def _flagfile(path, left, of):
    path = flagfiles.find(path)
    if path in of:
        raise flags.Error(f"{of[-1]}: --flagfile={path} is the file that it is in, or one around")
    if left is None and of:
        raise flags.Error(f"{of[-1]}: --flagfile={path}: no other file is read from here")
    if left == [0]:
        raise flags.Error(f"--flagfile={path}: more than {_MAX_FLAGFILES} flagfiles")
    if left:
        left[0] -= 1
    try:
        # To open a pipe may take for ever. Who names one on the command line knows what it is.
        if (of or left is None) and not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("a folder, a pipe or a device")
        with open(path, encoding="utf-8") as file:
            text = file.read(_MAX_FLAGFILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise flags.Error(f"--flagfile={path}: not a readable file of flags ({reason})") from error
    if len(text) > _MAX_FLAGFILE:
        raise flags.Error(f"--flagfile={path}: longer than {_MAX_FLAGFILE} bytes, no file of flags")
    placed = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith(("#", "//")):
            for word, where in _expanded([line], left, (*of, path)):
                placed.append((word, where or f"{path}, line {number}: "))
    return placed


def _where(placed, name, value=None):
    """'file, line n: ' of the flag of this name, and of this value where one is given."""
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
    found = difflib.get_close_matches(name, known, 3, 0.75)
    return found[:1] or sorted(flag for flag in known if len(name) > 2 and name in flag)[:3]
