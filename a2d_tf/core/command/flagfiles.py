"""Parse the flags of a command line and of the flagfiles among them.

Flagfiles are expanded here, so that an error can name the file and the line.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from absl import flags

from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text

_PACKAGE = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = _PACKAGE / "configs"
"""Folder of the package's flagfiles: in the package if it is installed, else beside."""
if not CONFIGS.is_dir():
    CONFIGS = _PACKAGE.parent / "configs"


def parse(words: Sequence[str], register: Register) -> list[str]:
    """Parse a command line and the flagfiles that it names, into a register.

    Args:
      words: the program's name, then flags and other words.
      register: the flags, which get their values.

    Returns:
      the words that are no flags, the program's name first.

    Raises:
      flags.Error: an unknown flag (the message names the nearest known one), a wrong
        value, or an unreadable flagfile; one line, which begins with the flagfile and
        the line in it.
    """
    return [words[0], *_parse_words(words[1:], register)]


def parse_flags(words: Sequence[str], register: Register) -> list[str]:
    """Parse flags that do not come from the command line of their register.

    Args:
      words: flags and other words, without the program's name.
      register: the flags, which get their values.

    Returns:
      the words that are no flags; the first is '', in place of the program's name.

    Raises:
      InputError: a flag is unknown, its value is wrong, or a flagfile is unreadable.
    """
    try:
        return parse(["", *words], register)
    except flags.Error as error:
        raise InputError(str(error)) from error


def check_only_flags(argv: Sequence[str]) -> None:
    """Check that a command line has no word that is not a flag.

    Args:
      argv: the words that are no flags, the program's name first; see `parse`.

    Raises:
      InputError: there is a word after the program's name.
    """
    if len(argv) > 1:
        raise InputError(
            f"unexpected argument '{argv[1]}'; flags are written --name=value"
        )


def find(path: str) -> str:
    """Return the path of a flagfile that `--flagfile` names.

    Args:
      path: the path after `--flagfile=`. `configs/NAME` and `configs/ablations/NAME`
        name the package's flagfiles from any folder, unless such a path exists in the
        present one; a leading `~` is the home folder.
    """
    path = os.path.expanduser(path)
    first, _, rest = path.replace(os.sep, "/").partition("/")
    if first == "configs" and not os.path.exists(path) and (CONFIGS / rest).is_file():
        return str(CONFIGS / rest)
    return path


def before_dashes(words: Sequence[str]) -> Sequence[str]:
    """Return the words before `--`, after which no word is a flag."""
    return words[: words.index("--")] if "--" in words else words


def _parse_words(
    words: Sequence[str],
    register: Register,
    place: str = "",
    outer_files: Sequence[str] = (),
) -> list[str]:
    """Parse words in their order, flagfiles where they stand among them.

    Args:
      words: flags and other words.
      register: where the flags are defined.
      place: begins errors; flagfile and line that the words are from.
      outer_files: the flagfiles that include the words, the outermost first.

    Returns:
      the words that are no flags.
    """
    for i, word in enumerate(before_dashes(words)):
        name, has_value, path = word.lstrip("-").partition("=")
        if name == "flagfile" and word.startswith("-"):
            later_words = words[i + 1 :]
            if not has_value:  # the path is the next word
                path = later_words[0] if later_words else ""
                later_words = later_words[1:]
            others = _parse_words(words[:i], register, place, outer_files)
            _parse_flagfile(path, register, outer_files)
            others += _parse_words(later_words, register, place, outer_files)
            return others
    try:
        return register(["", *words])[1:]
    except flags.UnrecognizedFlagError as error:
        problem = f"{str(error).rstrip(' ?')}; --help lists the flags"
        raise flags.Error(place + problem) from error
    except (flags.Error, ValueError) as error:  # a ValueError if --noflag has a value
        raise flags.Error(place + " ".join(str(error).split())) from error


def _parse_flagfile(path: str, register: Register, outer_files: Sequence[str]) -> None:
    """Parse the lines of a flagfile; `_parse_words` describes the arguments."""
    path = find(path)
    if path in outer_files:
        raise flags.Error(f"{outer_files[-1]}: --flagfile={path} includes itself")
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise flags.Error(
            f"--flagfile={path}: not a readable flagfile ({reason})"
        ) from error
    for number, line in enumerate(lines, 1):
        line = line.strip()
        place = f"{path}, line {number}: "
        if line.startswith("-"):
            _parse_words([line], register, place, (*outer_files, path))
        elif line and not line.startswith(("#", "//")):
            raise flags.Error(f"{place}'{line}' is not a flag; write --name=value")
