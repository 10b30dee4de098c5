"""The rows of the paper's tables as experiments: flagfiles, trained in one or two phases.

An experiment is `full`, a flagfile of configs/ablations, or one of PHASES. It is trained and scored
by the mains, in processes of their own.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

from a2d_tf.core import flagfiles
from a2d_tf.core.errors import InputError

ABLATIONS = flagfiles.CONFIGS / "ablations"
_IMPORTED_FROM = str(pathlib.Path(__file__).resolve().parents[3])
# The phases of an experiment; each starts from the weights of the one before.
PHASES = {
    "full": ("full",),
    "no_joint": ("no_joint_actor", "no_joint_action"),
    "no_mask": ("no_mask", "no_mask_refiner"),
}
NOTHING = ("--init_rgb=", "--init_flow=", "--init_checkpoint=")
SPLIT = "test"


def names() -> list[str]:
    """Return all experiments, sorted."""
    parts = {phase for phases in PHASES.values() for phase in phases}
    return sorted({path.stem for path in ABLATIONS.glob("*.flags")} - parts | set(PHASES))


def phases(name: str) -> tuple[str, ...]:
    """Return the phases of an experiment, in order; each has a run folder of its name."""
    return PHASES.get(name, (name,))


def run(
    name: str,
    base: str,
    records: str,
    workdir: str | os.PathLike,
    *,
    extra: Sequence[str] = (),
    device: str = "auto",
) -> pathlib.Path:
    """Train and score an experiment; what is done already is not done again.

    Args:
      name: one of `names()`.
      base: flagfile of the network.
      records: folder of the records.
      workdir: folder of the run folders.
      extra: further flags of every training.
      device: --device of training and scoring.

    Returns:
      The scored run folder.

    Raises:
      InputError: no such experiment, or a phase failed.
    """
    if name not in names():
        raise InputError(f"'{name}' is no experiment; there are {', '.join(names())}")
    common = [f"--records={os.path.abspath(records)}"]
    common += [f"--device={device}"] if device != "auto" else []
    previous = ""
    for phase in phases(name):
        command = ["train", f"--flagfile={os.path.abspath(flagfiles.find(base))}"]
        if phase != "full":
            command.append(f"--flagfile={ABLATIONS / phase}.flags")
        start = []
        if previous:
            # The first phase has started from the weights that `extra` or the base name.
            start = [f"--init_run={previous}", *NOTHING]
        elif phase != "full" and not _uses_flow(phase):
            start = ["--init_flow="]
        folder = pathlib.Path(workdir, phase).absolute()
        _call([*command, *common, f"--workdir={folder}", *extra, *start])
        previous = str(folder)
    metrics, finished = _metrics(folder), folder / "finished.json"
    if not metrics.exists() or metrics.stat().st_mtime < finished.stat().st_mtime:
        _call(["evaluate", *common, f"--workdir={folder}", f"--split={SPLIT}"])
    return folder


def environment() -> dict[str, str]:
    """Return the environment of processes that import this package, installed or not."""
    places = [_IMPORTED_FROM, os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def scored(folder: str | os.PathLike) -> bool:
    """Tell whether a run folder holds the scores of the test split."""
    return _metrics(folder).exists()


def _metrics(folder):
    return pathlib.Path(folder, "evaluation", SPLIT, "metrics.json")


def _uses_flow(phase):
    return "--use_flow=false" not in (ABLATIONS / f"{phase}.flags").read_text().split()


def _call(command):
    """Run a main of a2d_tf; raises InputError with its last error message."""
    print("python -m a2d_tf." + " ".join(command), flush=True)
    with subprocess.Popen(
        [sys.executable, "-m", f"a2d_tf.{command[0]}", *command[1:]],
        env=environment(),
        stderr=subprocess.PIPE,
    ) as process:
        tail = b""
        try:
            while chunk := process.stderr.read1():
                sys.stderr.buffer.write(chunk)
                sys.stderr.flush()
                tail = (tail + chunk)[-4096:]
        except KeyboardInterrupt:
            process.terminate()
            # It saves its current step, and would fail at a closed pipe.
            sys.stderr.buffer.write(process.stderr.read())
            process.wait()
            raise
    if process.returncode:
        raise InputError(
            f"a2d_tf.{command[0]} ended with status {process.returncode} ({_reason(tail)}); mend "
            "that and run again, it goes on from there"
        )


def _reason(tail):
    """The error message at the end of a main's stderr."""
    lines = tail.decode(errors="replace").replace("\r", "\n").splitlines()
    lines = [line for line in lines if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"
