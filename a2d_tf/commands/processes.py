"""Run mains as processes, and tell whether a run is scored."""

from __future__ import annotations

import ctypes
import functools
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.data.manifest import Manifest
from a2d_tf.training import experiments, scores

_IMPORTED_FROM = str(pathlib.Path(__file__).resolve().parents[2])
_LINUX = ctypes.CDLL(None) if sys.platform == "linux" else None
# PR_SET_PDEATHSIG, 1: Linux kills a process when the one that started it ends.
_TIED = functools.partial(_LINUX.prctl, 1, signal.SIGKILL) if _LINUX else None


def train_and_score(
    name: str,
    base: str,
    records: str,
    workdir: str | os.PathLike,
    *,
    extra: Sequence[str] = (),
    device: str = "auto",
    final: bool = False,
) -> None:
    """Train and score an experiment; what is done already is not done again.

    Args:
      extra: further flags of every training.
      final: whether to do its final runs, for which it must be trained already.

    Raises:
      InputError: no such experiment, or a phase failed.
    """
    for folder, flagfiles, start in experiments.trainings(name, base, workdir, final):
        common = [f"--records={os.path.abspath(records)}", f"--workdir={folder}"]
        common.append(f"--device={device}")
        call_main(["train", *common, *flagfiles, *extra, *start])
    if not is_scored(folder, records):
        call_main(["evaluate", *common, f"--split={experiments.SPLIT}"])


def is_scored(run: pathlib.Path, records: str | os.PathLike) -> bool:
    """Return whether a run as it is now is scored on the test split of these records."""
    folder = experiments.scores_folder(run)
    return scores.are_current(run, folder, Manifest.load(records).source)


def flags_of(main: str) -> set[str]:
    """Return the names of the flags of a main of a2d_tf, such as `train`."""
    # A process of its own, for the flags of mains share their names and one register.
    command, environment = _started([main, "--help"])
    text = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True).stdout
    return set(re.findall(r"^  --(?:\[no\])?(\w+)", text, re.MULTILINE))


def shown(command: Sequence[str]) -> str:
    """Return the words of a main as a shell takes them."""
    room, _, name = command[0].rpartition(".")
    program = f"python tools/{name}.py" if room else f"python -m a2d_tf.{name}"
    return command_line.as_installed(shlex.join([*program.split(), *command[1:]]))


def _started(command):
    """Return the words and the environment of a main, which imports this package."""
    places = [_IMPORTED_FROM, os.environ.get("PYTHONPATH")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    start = f"import a2d_tf.{command[0]} as main; main.run()"
    return [sys.executable, "-c", start, *command[1:]], environment


def call_main(command: Sequence[str], log: IO | None = None) -> None:
    """Run a main of a2d_tf, such as `["train", "--workdir=RUN"]`; it ends with this process.

    Args:
      command: module and flags.
      log: file that takes what it prints; by default that, and first the command, is printed.

    Raises:
      InputError: it failed; with its last error message.
    """
    if log is None:
        print(shown(command), flush=True)
    words, environment = _started(command)
    with subprocess.Popen(
        words,
        env=environment,
        stdout=log,
        stderr=subprocess.PIPE,
        preexec_fn=_TIED,
        start_new_session=True,  # a signal to a terminal's processes reaches it once, from below
    ) as process:
        reason, said = "", process.stderr or ()
        try:
            for line in said:
                if line.startswith(b"error: "):  # is said below, once
                    reason = line.decode(errors="replace").strip().removeprefix("error: ")
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
            f"a2d_tf.{command[0]}: {reason or f'ended with status {process.returncode}'}; "
            "correct that and give the same command again, which resumes"
        )
