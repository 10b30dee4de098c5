"""Parse command lines, print help, show progress, and report errors in one line.

absl parses and holds the flags. Flagfiles are expanded here, so that an error can name the file and
the line. The help leaves out the flags of libraries.
"""

from __future__ import annotations

import functools
import gc
import io
import logging
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags
from tqdm import tqdm

from a2d_tf.core import devices
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
INSTALLED = (_PACKAGE / "configs").is_dir()
CONFIGS = (_PACKAGE if INSTALLED else _PACKAGE.parent) / "configs"
"""Folder of the package's flagfiles, in a clone or installed."""

SETTINGS = "settings, "  # begins the module names under which config.py defines its sections
_HELP = {"help", "?", "helpshort", "h"}
_MORE_HELP = """--flagfile=FILE reads flags from a file, one a line, such as configs/a2d.flags
docs/flags.md lists the settings; --helpfull also explains the flags of the libraries"""
_LONGEST = 2000  # characters of a message


def run(main: Callable[[list[str]], int | None]) -> None:
    """Run `main(argv)` under absl, and print any error as one line on stderr.

    The exit status is then 1, or 130 after Ctrl-C. An exception that is no InputError is a fault of
    the code or of the machine; `--debug` shows where it arises.
    """
    prepare()
    app.run(
        lambda argv: _guarded(main, argv), flags_parser=lambda words: _parse(words, main.__module__)
    )


def _guarded(function, *arguments):
    """Call a function; returns the exit status."""
    try:
        status = function(*arguments)
        sys.stdout.flush()
        return status
    except InputError as error:
        return _complain(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in `| head`; Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        # TensorFlow's messages have many lines.
        first, _, _ = str(error).strip().partition("\n")
        problem = f"unexpected {type(error).__name__}: {first[:1000]}"
        if isinstance(error, OSError) and error.strerror:
            problem = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return _complain(f"{problem}; --debug shows where")


def command(main: Callable[[list[str]], int | None]) -> Callable[[], None]:
    """Return the entry point of a main, which runs it with the words of the command line."""
    return functools.partial(run, main)


def require(argv: list[str], **values: object) -> None:
    """Check that a command line has no stray words, and a value for each named flag.

    Raises:
      InputError: names the word, the flag that is missing, or a path that is a link to nothing.
    """
    if len(argv) > 1:
        raise InputError(f"unexpected word '{argv[1]}'; flags are written --name=value")
    for name, value in values.items():
        if not value:
            raise InputError(f"--{name} is missing; --help shows the flags")
        if isinstance(value, str) and os.path.islink(value) and not os.path.exists(value):
            raise InputError(
                f"--{name}={value}: a link to {os.readlink(value)}, which is not there; mount or "
                "make that, or remove the link"
            )


def prepare() -> None:
    """Set up this process for a command: quiet libraries, plain log lines, the flag --debug.

    Libraries read their environment variables when they load, so that commands import TensorFlow
    after this; child processes inherit them. Variables that are set already stay.
    """
    # With an NVIDIA card, TensorFlow's warnings say which library of CUDA is missing. Without one,
    # nothing that it prints helps a user.
    uses_nvidia = devices.may_have_nvidia() and not devices.hides_nvidia()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if uses_nvidia else "3")
    # The messages of OpenCV and FFmpeg would bury the one line that matters.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
        if "cv2" in sys.modules:
            cv2 = sys.modules["cv2"]
            getattr(cv2.utils, "logging", cv2).setLogLevel(0)  # OpenCV 4.13 moved it
    if "debug" not in flags.FLAGS:
        flags.DEFINE_bool("debug", False, "show where in the code an error arises")
    # Importing TensorFlow makes some 300000 objects that stay. Python looks for garbage after every
    # 700 new ones, which takes a fifth of the time of the import.
    gc.set_threshold(50_000)
    logger = logging.getLogger("a2d_tf")
    logger.setLevel(logging.INFO)
    logger.handlers, logger.propagate = [_Console()], False


class _Console(logging.Handler):
    """Prints log records as plain lines, notes to stdout and warnings to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        warns = record.levelno >= logging.WARNING
        text = as_installed(("warning: " if warns else "") + self.format(record))
        print(text, file=sys.stderr if warns else sys.stdout, flush=True)


def _parse(words, module):
    if wants_help(words):
        sys.exit(_guarded(print, as_installed(help_text(module))))
    try:
        return parse(words)
    except flags.Error as error:
        sys.exit(_complain(error))


def _complain(problem):
    """Print one line that starts with 'error: '; returns the exit status."""
    sys.stdout.flush()
    if flags.FLAGS.is_parsed() and flags.FLAGS.debug:
        traceback.print_exc()
    # A name in a file must not steer the terminal.
    line = as_installed(" ".join(str(problem).split()))
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line[:_LONGEST])
    print(f"error: {line}", file=sys.stderr)
    return 1


def parse(words: Sequence[str], flag_values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Parse a command line.

    Args:
      words: the program's name, then flags and other words.
      flag_values: where the flags are defined.

    Returns:
      the words that are no flags, the program's name first.

    Raises:
      flags.Error: an unknown flag (the message names the nearest known one), a wrong value, or an
        unreadable flagfile; one line, which begins with the flagfile and the line in it.
    """
    return [words[0], *_parsed(words[1:], flag_values, "", ())]


def _parsed(words, flag_values, place, inside):
    """Parse words in their order; returns those that are no flags.

    Args:
      place: begins an error.
      inside: the flagfiles that the words are from.
    """
    own = words[: words.index("--")] if "--" in words else words
    for i, word in enumerate(own):
        name, equals, path = word.lstrip("-").partition("=")
        if word.startswith("-") and name == "flagfile":
            before, after = words[:i], words[i + 1 :]
            if not equals:
                path, *after = after or [""]
            stray = _parsed(before, flag_values, place, inside)
            _flagfile(path, flag_values, inside)
            return stray + _parsed(after, flag_values, place, inside)
    try:
        return flag_values(["", *words])[1:]
    except (flags.Error, ValueError) as error:  # a ValueError where --noflag has a value
        raise flags.Error(place + " ".join(str(error).split())) from error


def _flagfile(path, flag_values, inside):
    """Parse the lines of a flagfile; arguments as of `_parsed`."""
    path = find(path)
    if path in inside:
        raise flags.Error(f"{inside[-1]}: --flagfile={path} is this file, or one that names it")
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise flags.Error(f"--flagfile={path}: not a readable file of flags ({reason})") from error
    for number, line in enumerate(map(str.strip, lines), 1):
        place = f"{path}, line {number}: "
        if line.startswith("-"):
            _parsed([line], flag_values, place, (*inside, path))
        elif line and not line.startswith(("#", "//")):
            raise flags.Error(f"{place}'{line}' is no flag; write --name=value")


def find(path: str) -> str:
    """Return the path of a flagfile.

    `configs/NAME` and `configs/ablations/NAME` name the package's flagfiles from any folder, unless
    such a path exists.
    """
    path = os.path.expanduser(path)
    first, _, rest = path.replace(os.sep, "/").partition("/")
    if first == "configs" and not os.path.exists(path) and (CONFIGS / rest).is_file():
        return str(CONFIGS / rest)
    return path


def as_installed(text: str) -> str:
    """Replace `python tools/NAME.py` by its installed command, unless the package is in a clone."""
    if not INSTALLED:
        return text
    import importlib.metadata  # late: it takes as long as all of absl

    scripts = importlib.metadata.distribution("a2d_tf").entry_points
    names = {re.split(r"[.:]", script.value)[-2]: script.name for script in scripts}
    return re.sub(r"(?:python )?tools/(\w+)\.py", lambda match: names.get(match[1], match[0]), text)


class _Lines(io.TextIOBase):
    """A file for tqdm, which prints each of its texts as a line."""

    def write(self, text: str) -> int:
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)
        return len(text)


def progress_bar(*arguments: Any, **options: Any) -> tqdm:
    """Return tqdm's bar; where stderr is no terminal, it is a line each minute."""
    if not sys.stderr.isatty():
        options |= {"file": _Lines(), "position": 0, "miniters": 1, "delay": 60, "mininterval": 60}
    return tqdm(*arguments, **options)


def wants_help(words: Sequence[str]) -> bool:
    """Return whether a command line asks for help."""
    own = words[1 : words.index("--")] if "--" in words else words[1:]
    return any(word.startswith("-") and word.lstrip("-") in _HELP for word in own)


def help_text(module: str) -> str:
    """Return the text of `--help`: a main module's flags, then the settings."""
    known = flags.FLAGS.flags_by_module_dict()
    # absl names the module that Python runs by the path of its file.
    main = sys.argv[0] if module == "__main__" else module
    names = [main, "a2d_tf.core.config", "a2d_tf.core.command_line"]
    names += [name for name in known if name.startswith(SETTINGS)]
    parts = [(sys.modules[module].__doc__ or "").strip()]
    for name in filter(known.__contains__, names):
        title, _, text = flags.FLAGS.module_help(name).strip().partition("\n")
        parts.append(f"{title}\n{text}" if name.startswith(SETTINGS) else text)
    if len(names) > 3:
        parts.append("The defaults are a new model's; a run's own settings are in its flags.txt.")
    return "\n\n".join([*parts, _MORE_HELP])


def written(value: Any) -> str:
    """Format a flag's value as it is written on a command line."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list):
        return ",".join(map(written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
