"""Run commands of this package as processes, which give their memory back."""

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
    """Return environment variables for a process that imports this package.

    They are those of this process; PYTHONPATH also names the folder that this package
    was imported from, which need not be installed.
    """
    folders = [_IMPORTED_FROM]
    if os.environ.get("PYTHONPATH"):
        folders.append(os.environ["PYTHONPATH"])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def command_text(words: Sequence[str]) -> str:
    """Return a command as one writes it in a shell, such as `a2d train --steps=9`.

    Args:
      words: the command's name and flags, without 'a2d'.
    """
    return shlex.join(["a2d", *words])


def call(words: Sequence[str], log: IO | None = None) -> None:
    """Run a command of this package as a process, and wait for its end.

    It is killed if this process ends before it.

    Args:
      words: the command's name and flags, such as `["train", "--workdir=RUN"]`.
      log: binary file for its output; None to print the command and its output.

    Raises:
      InputError: the command failed; the message has the command's last error.
      KeyboardInterrupt: Ctrl-C; the command was told to stop, and has ended.
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
