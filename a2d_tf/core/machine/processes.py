"""Run commands as processes, which give their memory back."""

from __future__ import annotations

import ctypes
import functools
import os
import pathlib
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from a2d_tf.core.errors import InputError

_IMPORTED_FROM = str(pathlib.Path(__file__).resolve().parents[3])
_PR_SET_PDEATHSIG = 1
_tie_to_parent = None
"""Called in a new process, lets Linux kill it when the one that started it ends."""
if sys.platform == "linux":
    _tie_to_parent = functools.partial(
        ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGKILL
    )


def environment() -> dict[str, str]:
    """Return an environment for processes that import this package, also in a clone."""
    folders = [_IMPORTED_FROM]
    if os.environ.get("PYTHONPATH"):
        folders.append(os.environ["PYTHONPATH"])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def command_text(words: Sequence[str]) -> str:
    """Return a command as a shell takes it, such as `a2d train --steps=9`."""
    return shlex.join(["a2d", *words])


def call(words: Sequence[str], log: IO | None = None) -> None:
    """Run a command, such as `["train", "--workdir=RUN"]`.

    It is killed if this process ends before it.

    Args:
      words: the command's name and flags.
      log: file for its output; by default the command and its output are printed.

    Raises:
      InputError: it failed; has its last error message.
    """
    if log is None:
        print(command_text(words), flush=True)
    with subprocess.Popen(
        [sys.executable, "-m", "a2d_tf", *words],
        env=environment(),
        stdout=log,
        stderr=subprocess.PIPE,
        preexec_fn=_tie_to_parent,
        # a signal to a terminal's processes reaches it once, from below
        start_new_session=True,
    ) as process:
        reason = ""
        error_lines = process.stderr or ()
        try:
            for line in error_lines:
                if line.startswith(b"error: "):  # is printed below, once
                    text = line.decode(errors="replace").strip()
                    reason = text.removeprefix("error: ")
                    continue
                sys.stderr.buffer.write(line)
                sys.stderr.flush()
        except KeyboardInterrupt:
            process.terminate()
            # It saves its current step, and would fail at a closed pipe.
            sys.stderr.buffer.writelines(error_lines)
            process.wait()
            raise
    if process.returncode:
        reason = reason or f"ended with status {process.returncode}"
        raise InputError(
            f"a2d {words[0]}: {reason}; fix that and run the same command again to"
            " resume"
        )
