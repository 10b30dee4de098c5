"""The rows of the paper's tables as experiments: their flagfiles and their run folders.

An experiment is `full`, a flagfile of configs/ablations, or one of PHASES. Each of its phases is a
run, and the last one is scored. Its final runs repeat the phases on all training videos, each with
the threshold that the first run of the phase chose.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

from a2d_tf.core import command_line
from a2d_tf.runs import scores

ABLATIONS = command_line.CONFIGS / "ablations"
# The phases of an experiment; each starts from the weights of the one before.
PHASES = {
    "full": ("full",),
    "no_joint": ("no_joint_actor", "no_joint_action"),
    "no_mask": ("no_mask", "no_mask_refiner"),
    "no_mask_strong": ("no_mask_strong", "no_mask_strong_refiner"),
}
NOTHING = ("--init_rgb=", "--init_flow=", "--init_checkpoint=")
ZERO_SHOT = "zero_shot_"
"""Prefix of the experiments that withhold the action labels of an actor, whose name follows."""


def names() -> list[str]:
    """Return all experiments, sorted."""
    parts = {phase for phases in PHASES.values() for phase in phases}
    return sorted({path.stem for path in ABLATIONS.glob("*.flags")} - parts | set(PHASES))


def phases(name: str) -> tuple[str, ...]:
    """Return the phases of an experiment, in order; each has a run folder of its name."""
    return PHASES.get(name, (name,))


def run_folder(workdir: str | os.PathLike, phase: str, final: bool = False) -> pathlib.Path:
    """Return the run folder of a phase, or of its final run."""
    return pathlib.Path(workdir, f"{phase}_final" if final else phase)


def trainings(
    name: str, base: str, workdir: str | os.PathLike, final: bool = False
) -> Iterator[tuple[pathlib.Path, list[str], list[str]]]:
    """Yield each phase's run folder, its flagfiles, and its flags of the weights it starts from.

    Args:
      name: one of `names()`.
      base: flagfile of the network.
      final: whether these are the final runs, which need the others finished.
    """
    previous = None
    for phase in phases(name):
        files, start = [os.path.abspath(command_line.find(base))], []
        if phase != "full":
            files.append(f"{ABLATIONS / phase}.flags")
        if previous:
            # The first phase has started from the weights that the base or the caller names.
            start = [f"--init_run={previous}", *NOTHING]
        elif phase != "full" and "--use_flow=false" in pathlib.Path(files[1]).read_text().split():
            start = ["--init_flow="]
        if final:
            start.append("--val_fraction=0")
            first = run_folder(workdir, phase)
            if (first / "score_threshold.json").exists():  # else it has not chosen one yet
                start.append(f"--score_threshold={scores.threshold(first)}")
        previous = run_folder(workdir, phase, final).absolute()
        yield previous, [f"--flagfile={path}" for path in files], start
