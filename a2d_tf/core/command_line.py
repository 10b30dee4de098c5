"""Parse command lines, print help, and report errors in one line.

Each command has a register of its own for its flags, `FLAGS = command_line.Register()`,
so that several commands can be imported in one process. Flagfiles are expanded here, so
that an error can name the file and the line.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import io
import logging
import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from absl import flags

from a2d_tf.core import devices
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text

Main = Callable[[list[str]], "int | None"]
"""The function of a command: takes the program's name and the words that are no
flags.
"""

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
_INSTALLED = (_PACKAGE / "configs").is_dir()
CONFIGS = (_PACKAGE if _INSTALLED else _PACKAGE.parent) / "configs"
"""Folder of the package's flagfiles, in a clone or installed."""

# begins the module names under which config.py defines its sections
SETTINGS = "settings, "
_HELP = {"help", "?", "helpshort", "helpfull", "h"}
_MORE_HELP = """--flagfile=FILE reads flags from a file, one per line, such as configs/a2d.flags;
docs/flags.md lists the settings"""
_LONGEST = 2000  # characters of a message


class Register(flags.FlagValues):
    """The flags of a command; each method defines one, as absl's `DEFINE_...` does.

    Each command has its own, so that several can be imported in one process. A method
    returns a holder of the flag's value; options are further arguments of absl.
    """

    def define_bool(
        self, name: str, default: bool | None, help: str, **options: Any
    ) -> flags.FlagHolder:
        """Define --name and --noname."""
        return flags.DEFINE_bool(name, default, help, flag_values=self, **options)

    def define_integer(
        self,
        name: str,
        default: int | None,
        help: str,
        lower_bound: int | None = None,
        upper_bound: int | None = None,
        **options: Any,
    ) -> flags.FlagHolder:
        """Define a flag with an integer."""
        return flags.DEFINE_integer(
            name,
            default,
            help,
            lower_bound,
            upper_bound,
            flag_values=self,
            **options,
        )

    def define_float(
        self,
        name: str,
        default: float | None,
        help: str,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        **options: Any,
    ) -> flags.FlagHolder:
        """Define a flag with a number."""
        return flags.DEFINE_float(
            name,
            default,
            help,
            lower_bound,
            upper_bound,
            flag_values=self,
            **options,
        )

    def define_string(
        self, name: str, default: str | None, help: str, **options: Any
    ) -> flags.FlagHolder:
        """Define a flag with a text."""
        return flags.DEFINE_string(name, default, help, flag_values=self, **options)

    def define_enum(
        self,
        name: str,
        default: str | None,
        enum_values: Iterable[str],
        help: str,
        **options: Any,
    ) -> flags.FlagHolder:
        """Define a flag with one of some texts."""
        return flags.DEFINE_enum(
            name, default, enum_values, help, flag_values=self, **options
        )

    def define_list(
        self, name: str, default: Any, help: str, **options: Any
    ) -> flags.FlagHolder:
        """Define a flag with a list of texts, separated by commas."""
        return flags.DEFINE_list(name, default, help, flag_values=self, **options)

    def define_multi_string(
        self, name: str, default: Any, help: str, **options: Any
    ) -> flags.FlagHolder:
        """Define a flag that may be repeated; its value is the list of the texts."""
        return flags.DEFINE_multi_string(
            name, default, help, flag_values=self, **options
        )


def command(main: Main, flag_values: Register) -> Callable[[], None]:
    """Return the entry point of a command, which runs `main` with the words of
    `sys.argv`.
    """
    return functools.partial(run, main, flag_values)


def run(main: Main, flag_values: Register) -> None:
    """Parse `sys.argv`, run `main`, and print any error as one line on stderr.

    The exit status is then 1, or 130 after Ctrl-C. An exception that is no InputError
    is a fault of the code or of the machine; `--debug` shows where it arises.

    Args:
      flag_values: the register of the command's flags, which gets `--debug`.
    """
    prepare()
    if "debug" not in flag_values:
        flag_values.define_bool("debug", False, "Show the traceback of an error.")
    if wants_help(sys.argv):
        sys.exit(guarded(print, help_text(main.__module__, flag_values)))
    try:
        words = parse(sys.argv, flag_values)
    except flags.Error as error:
        sys.exit(complain(error))
    sys.exit(guarded(main, words, debug=flag_values.debug))


def guarded(function: Callable, *arguments: Any, debug: bool = False) -> int | None:
    """Call a function, print its error as one line, and return the exit status."""
    try:
        status = function(*arguments)
        sys.stdout.flush()
        return status
    except InputError as error:
        return complain(error, debug)
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
            problem = (
                f"{error.filename}: {error.strerror}"
                if error.filename
                else error.strerror
            )
        return complain(f"{problem}; --debug shows where", debug)


def require(argv: list[str], **values: object) -> None:
    """Raise InputError where a command line has a stray word, or no value for a
    named flag.
    """
    if len(argv) > 1:
        raise InputError(
            f"unexpected argument '{argv[1]}'; flags are written --name=value"
        )
    for name, value in values.items():
        if not value:
            raise InputError(f"--{name} is missing; --help shows the flags")


def prepare() -> None:
    """Set up this process for a command: quiet libraries, plain log lines.

    Libraries read their environment variables when they load, so that commands import
    TensorFlow after this; child processes inherit them. Variables that are set already
    stay.
    """
    # With an NVIDIA card, TensorFlow's warnings say which library of CUDA is missing.
    # Without one, nothing that it prints helps a user.
    uses_nvidia = devices.may_have_nvidia() and not devices.hides_nvidia()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if uses_nvidia else "3")
    # The messages of OpenCV and FFmpeg would bury the one line that matters.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
        if "cv2" in sys.modules:
            cv2 = sys.modules["cv2"]
            getattr(cv2.utils, "logging", cv2).setLogLevel(0)  # OpenCV 4.13 moved it
    # a name that it cannot show ends no command
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Importing TensorFlow makes some 300000 objects that stay. Python looks for garbage
    # after every 700 new ones, which takes a fifth of the time of the import.
    gc.set_threshold(50_000)
    faulthandler.enable()  # a crash of a library prints where it was called
    logger = logging.getLogger("a2d_tf")
    logger.setLevel(logging.INFO)
    logger.handlers, logger.propagate = [_Console()], False


class _Console(logging.Handler):
    """Prints log records as plain lines, notes to stdout and warnings to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        warns = record.levelno >= logging.WARNING
        text = ("warning: " if warns else "") + self.format(record)
        print(text, file=sys.stderr if warns else sys.stdout, flush=True)


def complain(problem: object, debug: bool = False) -> int:
    """Print one line that starts with 'error: ', after the traceback with `debug`;
    return 1.
    """
    sys.stdout.flush()
    if debug:
        traceback.print_exc()
    # A name in a file must not steer the terminal.
    line = " ".join(str(problem).split())
    line = "".join(
        c if c.isprintable() else f"\\x{ord(c):02x}" for c in line[:_LONGEST]
    )
    print(f"error: {line}", file=sys.stderr)
    return 1


def parse(words: Sequence[str], flag_values: Register) -> list[str]:
    """Parse a command line.

    Args:
      words: the program's name, then flags and other words.
      flag_values: where the flags are defined.

    Returns:
      the words that are no flags, the program's name first.

    Raises:
      flags.Error: an unknown flag (the message names the nearest known one), a wrong
        value, or an unreadable flagfile; one line, which begins with the flagfile and
        the line in it.
    """
    return [words[0], *_parsed(words[1:], flag_values, "", ())]


def _parsed(words, flag_values, place, inside):
    """Parse words in their order; returns those that are no flags.

    Errors begin with `place`; the words are from the flagfiles `inside`.
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
    except flags.UnrecognizedFlagError as error:
        raise flags.Error(
            f"{place}{str(error).rstrip(' ?')}; --help lists the flags"
        ) from error
    except (
        flags.Error,
        ValueError,
    ) as error:  # a ValueError where --noflag has a value
        raise flags.Error(place + " ".join(str(error).split())) from error


def _flagfile(path, flag_values, inside):
    """Parse the lines of a flagfile; arguments as of `_parsed`."""
    path = find(path)
    if path in inside:
        raise flags.Error(f"{inside[-1]}: --flagfile={path} includes itself")
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise flags.Error(
            f"--flagfile={path}: not a readable flagfile ({reason})"
        ) from error
    for number, line in enumerate(map(str.strip, lines), 1):
        place = f"{path}, line {number}: "
        if line.startswith("-"):
            _parsed([line], flag_values, place, (*inside, path))
        elif line and not line.startswith(("#", "//")):
            raise flags.Error(f"{place}'{line}' is not a flag; write --name=value")


def find(path: str) -> str:
    """Return the path of a flagfile.

    `configs/NAME` and `configs/ablations/NAME` name the package's flagfiles from any
    folder, unless such a path exists.
    """
    path = os.path.expanduser(path)
    first, _, rest = path.replace(os.sep, "/").partition("/")
    if first == "configs" and not os.path.exists(path) and (CONFIGS / rest).is_file():
        return str(CONFIGS / rest)
    return path


def wants_help(words: Sequence[str]) -> bool:
    """Return whether a command line asks for help."""
    own = words[1 : words.index("--")] if "--" in words else words[1:]
    return any(word.startswith("-") and word.lstrip("-") in _HELP for word in own)


def help_text(module: str, flag_values: Register) -> str:
    """Return the text of `--help`: a module's docstring, its command's flags, then
    the settings.
    """
    names = sorted(
        flag_values.flags_by_module_dict(), key=lambda name: name.startswith(SETTINGS)
    )
    parts = [(sys.modules[module].__doc__ or "").strip()]
    for name in names:
        title, _, text = flag_values.module_help(name).strip().partition("\n")
        parts.append(f"{title}\n{text}" if name.startswith(SETTINGS) else text)
    if any(name.startswith(SETTINGS) for name in names):
        parts.append(
            "The defaults are for a new model; a run's own settings are in its"
            " flags.txt."
        )
    return "\n\n".join([*parts, _MORE_HELP])


def flag_text(value: Any) -> str:
    """Format a flag's value as it is written on a command line."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list):
        return ",".join(map(flag_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
