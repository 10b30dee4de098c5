"""Run a command: parse its words, print help, and report errors in one line.

Each command has a register of its own for its flags, `FLAGS = command_line.Register()`,
so that several commands can be imported in one process.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from a2d_tf.core.command import command_help, flagfiles, process_setup
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError

Main = Callable[[list[str]], "int | None"]
"""The function of a command.

It takes the program's name and the words that are no flags; it returns the exit status.
"""

_LONGEST = 2000  # characters of a message


def command(main: Main, register: Register) -> Callable[..., None]:
    """Return the entry point of a command, which parses the flags and calls `main`.

    Args:
      main: the command's function.
      register: register of the command's flags.

    Returns:
      `run` with these two; a caller may give it the words of a command line.
    """
    return functools.partial(run, main, register)


def run(
    main: Main,
    register: Register,
    words: Sequence[str] | None = None,
    *,
    help_module: str | None = None,
) -> None:
    """Parse a command line, call `main`, and report any error as one line on stderr.

    The exit status is then 1, or 130 after Ctrl-C. An exception that is no InputError
    is a fault of the code or of the machine; `--debug` shows where it arises.

    Args:
      main: the command's function, which is given the words that are no flags and
        returns the exit status; None is 0.
      register: the register of the command's flags, which gets `--debug`.
      words: the program's name, then flags and other words; None for `sys.argv`.
      help_module: name of the module whose docstring `--help` shows; None for the
        module of `main`.

    Raises:
      SystemExit: always at the end, with the exit status.
    """
    process_setup.prepare()
    if words is None:
        words = sys.argv
    if "debug" not in register:
        register.define_bool("debug", False, "Show the traceback of an error.")
    if command_help.wants_help(words):
        module = help_module or main.__module__
        sys.exit(guarded(print, command_help.help_text(module, register)))
    try:
        argv = flagfiles.parse(words, register)
    except flags.Error as error:
        sys.exit(complain(error))
    sys.exit(guarded(main, argv, debug=register.debug))


def guarded(function: Callable, *arguments: Any, debug: bool = False) -> int | None:
    """Call a function, print its error as one line, and return the exit status.

    Args:
      function: the function; its result is the exit status.
      *arguments: arguments of the function.
      debug: whether to print the traceback of an error, too.

    Returns:
      the function's result; 1 after an error, 130 after Ctrl-C.
    """
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


def require(argv: list[str], **values: object) -> None:
    """Check that a command line has no stray words and that needed flags have values.

    Args:
      argv: the words that are no flags: the program's name, and nothing else.
      **values: {name of a flag: its value}, the flags that must be given.

    Raises:
      InputError: there is a stray word, or no value for a flag.
    """
    flagfiles.check_only_flags(argv)
    for name, value in values.items():
        if not value:
            raise InputError(f"--{name} is missing; --help shows the flags")


def complain(problem: object, debug: bool = False) -> int:
    """Print a problem on stderr as one line that starts with 'error: '.

    Args:
      problem: an error, or its message.
      debug: whether to print the traceback of the present exception first.

    Returns:
      the exit status, 1.
    """
    sys.stdout.flush()
    if debug:
        traceback.print_exc()
    line = " ".join(str(problem).split())
    print(f"error: {_printable(line[:_LONGEST])}", file=sys.stderr)
    return 1


def _problem_of(error: Exception) -> str:
    """Describe an error that is no InputError."""
    if isinstance(error, OSError) and error.strerror:
        if error.filename:
            return f"{error.filename}: {error.strerror}"
        return error.strerror
    # TensorFlow's messages have many lines.
    first_line, _, _ = str(error).strip().partition("\n")
    return f"unexpected {type(error).__name__}: {first_line[:1000]}"


def _printable(text: str) -> str:
    """Escape what is not printable: a name in a file must not steer the terminal."""
    characters = []
    for character in text:
        if not character.isprintable():
            character = f"\\x{ord(character):02x}"
        characters.append(character)
    return "".join(characters)
