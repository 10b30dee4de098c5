"""Errors a user can act on, and how a command line shows them: one clear line, exit status 1."""

import os
import sys

from absl import app

# TensorFlow reads it when it loads, which no module does before this one: its notes on devices and
# end of sequences would bury the one line that matters.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class InputError(ValueError):
    """Input that cannot be used. The message names the file, the field and the remedy."""


def require(argv, **values):
    """Check a command line: no stray words, and a value for each flag named.

    Raises:
      InputError: names the word, or the flag that is missing.
    """
    if len(argv) > 1:
        raise InputError(f"unexpected word '{argv[1]}'; flags are written --name=value")
    for name, value in values.items():
        if not value:
            raise InputError(f"--{name} is missing; --help shows the flags")


def run(main):
    """Run `main(argv)` under absl; an InputError becomes one line on stderr and exit status 1."""

    def guarded(argv):
        try:
            return main(argv)
        except InputError as error:
            sys.stdout.flush()
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            # The reader has gone, as in `| head`; Python would complain once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1

    app.run(guarded)
