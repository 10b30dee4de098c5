"""The rows of the paper's tables: their published figures, their flagfiles and their
run folders.

An experiment is `full`, a flagfile of configs/ablations, or one of PHASES. Each of its
phases is a run, and the last one is scored. Its final runs repeat the phases on all
training videos, each with the threshold that the first run of the phase chose.

Source of the figures: Ji et al., ECCV 2018, Tables 1 to 3, in percent, all on A2D's own
  test split.
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
"""Prefix of the experiments that withhold the action labels of an actor, whose name
follows.
"""

# The published figures.
SEGMENTATION: dict[str, tuple[float | None, ...]] = {
    "Trilayer": (45.7, 74.6, None, 47.0, 74.6, None, 25.4, 76.2, None),
    "GPM+TSP": (58.3, 85.2, 33.4, 60.5, 85.3, 32.0, 43.3, 84.2, 19.9),
    "GPM+GBH": (59.4, 84.8, 33.3, 61.2, 84.9, 31.9, 43.9, 83.8, 19.9),
    "TSMT+GBH": (72.9, 85.8, 42.7, 61.4, 84.6, 35.5, 48.0, 83.9, 24.9),
    "TSMT+SM": (73.7, 90.6, 49.5, 60.5, 89.3, 42.2, 47.5, 88.7, 29.7),
    "Ji et al., full": (79.1, 94.5, 66.4, 62.9, 92.6, 46.3, 51.4, 92.5, 36.9),
    "Mask R-CNN baseline": (62.8, 84.2, 33.7, 59.6, 84.0, 30.3, 41.7, 82.5, 19.1),
    "w/o mask + SM": (76.6, 92.2, 60.3, 60.7, 90.3, 42.9, 49.0, 89.8, 32.4),
    "w/o temporal": (79.0, 94.1, 66.1, 61.8, 92.0, 45.5, 50.3, 90.2, 35.3),
    "w/o flow": (79.5, 93.7, 66.5, 60.4, 86.3, 36.8, 46.2, 87.8, 29.4),
    "w/o joint": (77.7, 93.2, 63.2, 62.1, 91.3, 45.2, 50.9, 90.1, 33.6),
}
"""Tables 1 and 3: ave, glo, mIoU of actors, of actions, of pairs; None where the paper
has a dash.
"""
DETECTION: dict[str, tuple[float | None, ...]] = {
    "TSCT": (67.2, 60.2, 49.2),
    "TSHR": (67.9, 59.6, 49.6),
    "TSMT": (68.3, 60.0, 48.9),
    "Ji et al., full": (77.2, 62.4, 55.5),
}
"""Table 2: mAP of actors, of actions, of pairs."""


def names() -> list[str]:
    """Return all experiments, sorted."""
    parts = {phase for phases in PHASES.values() for phase in phases}
    return sorted(
        {path.stem for path in ABLATIONS.glob("*.flags")} - parts | set(PHASES)
    )


def phases(name: str) -> tuple[str, ...]:
    """Return the phases of an experiment, in order; each has a run folder of its
    name.
    """
    return PHASES.get(name, (name,))


def run_folder(
    workdir: str | os.PathLike, phase: str, final: bool = False
) -> pathlib.Path:
    """Return the run folder of a phase, or of its final run."""
    return pathlib.Path(workdir, f"{phase}_final" if final else phase)


def trainings(
    name: str, base: str, workdir: str | os.PathLike, final: bool = False
) -> Iterator[tuple[pathlib.Path, list[str], list[str]]]:
    """Yield each phase's run folder, its flagfiles, and its flags of the weights it
    starts from.

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
            # The first phase has started from the weights that the base or the caller
            # names.
            start = [f"--init_run={previous}", *NOTHING]
        elif (
            phase != "full"
            and "--use_flow=false" in pathlib.Path(files[1]).read_text().split()
        ):
            start = ["--init_flow="]
        if final:
            start.append("--val_fraction=0")
            first = run_folder(workdir, phase)
            # else it has not chosen one yet
            if (first / "score_threshold.json").exists():
                start.append(f"--score_threshold={scores.threshold(first)}")
        previous = run_folder(workdir, phase, final).absolute()
        yield previous, [f"--flagfile={path}" for path in files], start
