"""Parse command lines, print help, and report errors in one line.

Each command has a register of its own for its flags, `FLAGS = command_line.Register()`,
so that several commands can be imported in one process. Flagfiles are expanded here, so
that an error can name the file and the line.
"""

from __future__ import annotations

import atexit
import faulthandler
import functools
import gc
import io
import logging
import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from a2d_tf.core import devices
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text

Main = Callable[[list[str]], "int | None"]
"""The function of a command: takes the program's name, then the words but the flags."""

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = _PACKAGE / "configs"
"""Folder of the package's flagfiles: in the package if it is installed, else beside."""
if not CONFIGS.is_dir():
    CONFIGS = _PACKAGE.parent / "configs"

SETTINGS = "settings, "
"""Begins the module names under which config.py defines its sections."""
_HELP = {"help", "?", "helpshort", "helpfull", "h"}
_MORE_HELP = (
    "--flagfile=FILE reads flags from a file, one per line, such as"
    " configs/a2d.flags;\ndocs/flags.md lists the settings"
)
_LONGEST = 2000  # characters of a message


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
    """The flags of a command; each method defines one, as absl's `DEFINE_...` does.

    Each command has its own, so that several can be imported in one process. A method
    takes the arguments of absl's function: name, default, the values of an enum, help,
    and options by name. It returns a holder of the flag's value.

    absl groups the flags of `--help` by the module that calls it: this one, so that a
    command's flags are a single group, wherever they are defined.
    """

    define_bool = _definer(flags.DEFINE_bool)
    define_integer = _definer(flags.DEFINE_integer)
    define_float = _definer(flags.DEFINE_float)
    define_string = _definer(flags.DEFINE_string)
    define_enum = _definer(flags.DEFINE_enum)
    define_list = _definer(flags.DEFINE_list)
    define_multi_string = _definer(flags.DEFINE_multi_string)


def command(main: Main, flag_values: Register) -> Callable[..., None]:
    """Return the entry point of a command: `run`, which may be given the words."""
    return functools.partial(run, main, flag_values)


def run(
    main: Main,
    flag_values: Register,
    words: Sequence[str] | None = None,
    *,
    help_module: str | None = None,
) -> None:
    """Parse a command line, run `main`, and print any error as one line on stderr.

    The exit status is then 1, or 130 after Ctrl-C. An exception that is no InputError
    is a fault of the code or of the machine; `--debug` shows where it arises.

    Args:
      flag_values: the register of the command's flags, which gets `--debug`.
      words: the program's name, then flags and other words; by default `sys.argv`.
      help_module: name of the module whose docstring `--help` shows; by default the
        module of `main`.
    """
    prepare()
    if words is None:
        words = sys.argv
    if "debug" not in flag_values:
        flag_values.define_bool("debug", False, "Show the traceback of an error.")
    if wants_help(words):
        module = help_module or main.__module__
        sys.exit(guarded(print, help_text(module, flag_values)))
    try:
        argv = parse(words, flag_values)
    except flags.Error as error:
        sys.exit(complain(error))
    sys.exit(guarded(main, argv, debug=flag_values.debug))


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
        return complain(f"{_problem_of(error)}; --debug shows where", debug)


def _problem_of(error):
    """Describe an error that is no InputError."""
    if isinstance(error, OSError) and error.strerror:
        if error.filename:
            return f"{error.filename}: {error.strerror}"
        return error.strerror
    # TensorFlow's messages have many lines.
    first_line, _, _ = str(error).strip().partition("\n")
    return f"unexpected {type(error).__name__}: {first_line[:1000]}"


def require(argv: list[str], **values: object) -> None:
    """Check a command line.

    Args:
      argv: the program's name, and nothing else.
      **values: values of flags that must be given, by name.

    Raises:
      InputError: there is a stray word, or no value for a flag.
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
    # TensorFlow 2.15 imports distutils, in whose place setuptools loads all of itself.
    hook = sys.modules.get("_distutils_hack")
    if hook is not None and hasattr(hook, "remove_shim"):  # not from Python 3.12 on
        hook.remove_shim()
    # Importing TensorFlow makes some 300000 objects that stay. Python looks for garbage
    # after every 700 new ones, which takes a fifth of the time of the import.
    gc.set_threshold(50_000)
    # Nor need it look a last time, when the process ends.
    atexit.register(gc.freeze)
    faulthandler.enable()  # a crash of a library prints where it was called
    logger = logging.getLogger("a2d_tf")
    logger.setLevel(logging.INFO)
    logger.handlers = [_Console()]
    logger.propagate = False


class _Console(logging.Handler):
    """Prints log records as plain lines, notes to stdout and warnings to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.WARNING:
            print(f"warning: {text}", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stdout, flush=True)


def complain(problem: object, debug: bool = False) -> int:
    """Print one line that starts with 'error: ', and return the exit status, 1.

    With `debug`, the traceback comes first.
    """
    sys.stdout.flush()
    if debug:
        traceback.print_exc()
    line = " ".join(str(problem).split())
    print(f"error: {_printable(line[:_LONGEST])}", file=sys.stderr)
    return 1


def _printable(text):
    """Escape what is not printable: a name in a file must not steer the terminal."""
    characters = []
    for character in text:
        if not character.isprintable():
            character = f"\\x{ord(character):02x}"
        characters.append(character)
    return "".join(characters)


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
    return [words[0], *_parse_words(words[1:], flag_values)]


def _parse_words(words, flag_values, place="", outer_files=()):
    """Parse words in their order, flagfiles where they stand among them.

    Args:
      words: flags and other words.
      flag_values: where the flags are defined.
      place: begins errors; flagfile and line that the words are from.
      outer_files: the flagfiles that include the words, the outermost first.

    Returns:
      the words that are no flags.
    """
    for i, word in enumerate(_before_dashes(words)):
        name, has_value, path = word.lstrip("-").partition("=")
        if name == "flagfile" and word.startswith("-"):
            later_words = words[i + 1 :]
            if not has_value:  # the path is the next word
                path = later_words[0] if later_words else ""
                later_words = later_words[1:]
            others = _parse_words(words[:i], flag_values, place, outer_files)
            _parse_flagfile(path, flag_values, outer_files)
            others += _parse_words(later_words, flag_values, place, outer_files)
            return others
    try:
        return flag_values(["", *words])[1:]
    except flags.UnrecognizedFlagError as error:
        problem = f"{str(error).rstrip(' ?')}; --help lists the flags"
        raise flags.Error(place + problem) from error
    except (flags.Error, ValueError) as error:  # a ValueError if --noflag has a value
        raise flags.Error(place + " ".join(str(error).split())) from error


def _before_dashes(words):
    """Return the words before `--`, after which no word is a flag."""
    return words[: words.index("--")] if "--" in words else words


def _parse_flagfile(path, flag_values, outer_files):
    """Parse the lines of a flagfile; arguments as for `_parse_words`."""
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
            _parse_words([line], flag_values, place, (*outer_files, path))
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
    for word in _before_dashes(words[1:]):
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
        if name.startswith(SETTINGS):
            setting_texts.append(f"{title}\n{text}")
        else:
            own_texts.append(text)
    if setting_texts:
        setting_texts.append(
            "The defaults are for a new model; a run's own settings are in its"
            " flags.txt."
        )
    about = (sys.modules[module].__doc__ or "").strip()
    return "\n\n".join([about, *own_texts, *setting_texts, _MORE_HELP])


def flag_text(value: Any) -> str:
    """Format a flag's value as it is written on a command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, list):
        return ",".join(map(flag_text, value))
    return str(value)
