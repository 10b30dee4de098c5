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

_IMPORTED_FROM = str(pathlib.Path(__file__).resolve().parents[2])
_LINUX = ctypes.CDLL(None) if sys.platform == "linux" else None
# PR_SET_PDEATHSIG, 1: Linux kills a process when the one that started it ends.
_TIED = functools.partial(_LINUX.prctl, 1, signal.SIGKILL) if _LINUX else None


def environment() -> dict[str, str]:
    """Return the environment of a process that imports this package, installed or in
    a clone.
    """
    places = [_IMPORTED_FROM, os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def command_text(words: Sequence[str]) -> str:
    """Return a command as a shell takes it: `["train", "--steps=9"]` is `a2d train
    --steps=9`.
    """
    return shlex.join(["a2d", *words])


def call(words: Sequence[str], log: IO | None = None) -> None:
    """Run a command, such as `["train", "--workdir=RUN"]`; it ends with this process.

    Args:
      words: the command's name and flags.
      log: file that takes what it prints; by default that, and first the command, is
        printed.

    Raises:
      InputError: it failed; with its last error message.
    """
    if log is None:
        print(command_text(words), flush=True)
    with subprocess.Popen(
        [sys.executable, "-m", "a2d_tf", *words],
        env=environment(),
        stdout=log,
        stderr=subprocess.PIPE,
        preexec_fn=_TIED,
        # a signal to a terminal's processes reaches it once, from below
        start_new_session=True,
    ) as process:
        reason, said = "", process.stderr or ()
        try:
            for line in said:
                if line.startswith(b"error: "):  # is said below, once
                    reason = (
                        line.decode(errors="replace").strip().removeprefix("error: ")
                    )
                    continue
                sys.stderr.buffer.write(line)
                sys.stderr.flush()
        except KeyboardInterrupt:
            process.terminate()
            # It saves its current step, and would fail at a closed pipe.
            sys.stderr.buffer.writelines(said)
            process.wait()
            raise
    if process.returncode:
        raise InputError(
            f"a2d {words[0]}: {reason or f'ended with status {process.returncode}'}; "
            "fix that and run the same command again to resume"
        )
