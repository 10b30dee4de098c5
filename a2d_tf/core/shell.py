"""The shell around a command: quiet libraries, plain log lines, an error as one clear line."""

from __future__ import annotations

import functools
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable

from absl import app, flags

from a2d_tf.core import command_line, flagfiles, machine
from a2d_tf.core.errors import InputError

_LONGEST = 2000  # characters of a message


def require(argv: list[str], **values: object) -> None:
    """Check a command line: no stray words, and a value for each flag named.

    Raises:
      InputError: names the word, or the flag that is missing.
    """
    if len(argv) > 1:
        raise InputError(f"unexpected word '{argv[1]}'; flags are written --name=value")
    for name, value in values.items():
        if not value:
            raise InputError(f"--{name} is missing; --help shows the flags")


def prepare() -> None:
    """Set up this process for a command: quiet libraries, plain log lines, the flag --debug.

    Libraries read their environment variables when they load, so that commands import TensorFlow
    after this; child processes inherit them. Variables that are set already stay.
    """
    # With an NVIDIA card TensorFlow's warnings are shown, for they say which library of CUDA is
    # missing; otherwise nothing that it prints helps a user.
    uses_nvidia = machine.may_have_nvidia() and not machine.hides_nvidia()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if uses_nvidia else "3")
    # The messages of OpenCV and FFmpeg would bury the one line that matters.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
        if "cv2" in sys.modules:
            sys.modules["cv2"].setLogLevel(0)
    if "debug" not in flags.FLAGS:
        flags.DEFINE_bool("debug", False, "show where in the code an error arises")
    # Importing TensorFlow makes some 300000 objects that stay. To look for garbage after every 700
    # new ones, as Python does, takes a fifth of the time of the import.
    gc.set_threshold(50_000)
    logger = logging.getLogger("a2d_tf")
    logger.setLevel(logging.INFO)
    logger.handlers, logger.propagate = [_Console()], False


class _Console(logging.Handler):
    """Prints log records as plain lines: notes to stdout, warnings to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            text = flagfiles.as_installed(self.format(record))
            print(f"warning: {text}", file=sys.stderr, flush=True)
        else:
            print(flagfiles.as_installed(self.format(record)), flush=True)


def run(main: Callable[[list[str]], int | None]) -> None:
    """Run `main(argv)` under absl: whatever goes wrong becomes one line on stderr.

    The exit status is then 1, and 130 after Ctrl-C. An exception that is no InputError is a fault
    of the code or of the machine; `--debug` shows where it arises.
    """
    prepare()

    def guarded(argv):
        try:
            return main(argv)
        except InputError as error:
            return _complain(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            _leave_pipe()
            return 1
        except Exception as error:
            return _complain(f"{_happened(error)}; --debug shows where")

    app.run(guarded, flags_parser=lambda words: _parse(words, main.__module__))


def command(main: Callable[[list[str]], int | None]) -> Callable[[], None]:
    """Return the entry point of a main: `run` it with the words of the command line."""
    return functools.partial(run, main)


def _parse(words, module):
    asked = command_line.wants_help(words)
    if asked:
        try:
            print(flagfiles.as_installed(command_line.help_text(module, asked == "helpshort")))
            sys.stdout.flush()
        except BrokenPipeError:
            _leave_pipe()
        sys.exit(0)
    if len(words) == 1 and command_line.example(module):
        sys.exit(
            _complain(
                f"no flags given; for example {command_line.example(module)} (--help explains)"
            )
        )
    try:
        return command_line.parse(words)
    except flags.Error as error:
        sys.exit(_complain(error))


def _leave_pipe():
    """Let go of stdout, whose reader has gone, as in `| head`; Python would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(problem):
    """Print one line that starts with 'error: '; returns the exit status."""
    sys.stdout.flush()
    if flags.FLAGS.is_parsed() and flags.FLAGS.debug:
        traceback.print_exc()
    # A name in a file must not steer the terminal.
    line = flagfiles.as_installed(" ".join(str(problem).split()))
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line[:_LONGEST])
    print(f"error: {line}", file=sys.stderr)
    return 1


def _happened(error):
    """Describe an unexpected exception in one line."""
    if isinstance(error, MemoryError):
        return f"out of memory ({error})" if str(error) else "out of memory"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    # TensorFlow's go on for many lines.
    lines = str(error).strip().splitlines()
    return f"unexpected {type(error).__name__}" + (f": {lines[0][:1000]}" if lines else "")
