"""Run commands as processes, and kill all that they leave."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
"""The path of the repository."""


class Ended(NamedTuple):
    """A command that has ended.

    Attributes:
      status: its exit status; None if it was killed at its limit.
      stdout: what it printed, as text.
      stderr: what it printed to stderr, as text.
      seconds: how long it ran.
    """

    status: int | None
    stdout: str
    stderr: str
    seconds: float

    @property
    def cause(self) -> str:
        """Why it failed: its error message, or what it printed first and last.

        After a crash Python lists all its modules; the cause is above them.
        """
        errors = re.findall("^error: (.*)", self.stderr, re.MULTILINE)
        if errors:
            return errors[-1]
        text = self.stderr.strip()
        if len(text) >= 2000:
            text = f"{text[:1200]} [...] {text[-800:]}"
        return f"status {self.status}: {text}"


def run(words: Sequence[str], limit_s: float | None = None, **options: Any) -> Ended:
    """Run a command in the repository's root; kill it and its children at its limit.

    Args:
      words: words of the command.
      limit_s: most seconds that it may take; None for no limit.
      **options: further arguments of `subprocess.Popen`.
    """
    began = time.monotonic()
    status = None
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        options |= {
            "cwd": ROOT,
            "stdout": stdout,
            "stderr": stderr,
            "start_new_session": True,
        }
        process = subprocess.Popen(words, **options)
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):  # nothing of it is left
                os.killpg(process.pid, signal.SIGKILL)
        seconds = time.monotonic() - began
        stdout.seek(0)
        stderr.seek(0)
        output = stdout.read().decode(errors="replace")
        errors = stderr.read().decode(errors="replace")
    return Ended(status, output, errors, seconds)
