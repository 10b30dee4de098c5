"""Errors a user can act on, and how a command line shows them: one clear line, exit status 1."""

import sys

from absl import app


class InputError(ValueError):
    """Input that cannot be used. The message names the file, the field and the remedy."""


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

    app.run(guarded)
