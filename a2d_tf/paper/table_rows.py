"""The trainings behind the rows of the paper's tables: flagfiles and run folders.

A row is `full`, a flagfile of configs/ablations, or one of PHASES. Each of its phases
is a run, and the last one is scored. Its final runs repeat the phases on all training
videos, each with the threshold that the first run of the phase chose.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from a2d_tf.core.command import flagfiles
from a2d_tf.core.settings.config import Config
from a2d_tf.paper import published
from a2d_tf.runs import chosen_threshold

ABLATIONS = flagfiles.CONFIGS / "ablations"
# The phases of a row; each starts from the weights of the one before.
PHASES = {
    "full": ("full",),
    "no_joint": ("no_joint_actor", "no_joint_action"),
    "no_mask": ("no_mask", "no_mask_refiner"),
    "no_mask_strong": ("no_mask_strong", "no_mask_strong_refiner"),
}
_NO_INITIAL_WEIGHTS = ("--init_rgb=", "--init_flow=", "--init_checkpoint=")
_ZERO_SHOT = "zero_shot_"


class OurRow(NamedTuple):
    """A row of ours in the tables.

    Attributes:
      title: its name in the tables.
      segmentation: the published row beside it in Table 1 or 3; None without one.
      detection: the published row beside it in Table 2; None without one.
    """

    title: str
    segmentation: str | None = None
    detection: str | None = None


OUR_ROWS = {
    "full": OurRow("full", segmentation=published.FULL, detection=published.FULL),
    "mask_rcnn_baseline": OurRow(
        "Mask R-CNN baseline", segmentation="Mask R-CNN baseline"
    ),
    "no_mask": OurRow("w/o mask + SM", segmentation="w/o mask + SM"),
    "no_temporal": OurRow("w/o temporal", segmentation="w/o temporal"),
    "no_flow": OurRow("w/o flow", segmentation="w/o flow"),
    "no_joint": OurRow("w/o joint", segmentation="w/o joint"),
    "cartesian": OurRow("cross-product labels", detection="TSCT"),
    "hierarchical": OurRow("hierarchical labels", detection="TSHR"),
    "late_fusion": OurRow("late fusion"),
    "no_mask_strong": OurRow("w/o mask + strong segmenter"),
}
"""{name of a row: how the tables show it}; the rows of Table 3 come first."""


class Training(NamedTuple):
    """The training of one phase.

    Attributes:
      run: the run folder.
      flagfiles: the flags --flagfile=PATH of its settings.
      start: the flags of its first weights, and of a final run.
    """

    run: pathlib.Path
    flagfiles: list[str]
    start: list[str]


def names() -> list[str]:
    """Return the names of all rows, sorted."""
    single_phases = {path.stem for path in ABLATIONS.glob("*.flags")}
    for phases_of_row in PHASES.values():
        single_phases -= set(phases_of_row)
    return sorted(single_phases | set(PHASES))


def order() -> list[str]:
    """Return the names of all rows in the order of training.

    `full` comes first, zero-shot rows come last.
    """
    return sorted(names(), key=lambda row: (row != "full", is_zero_shot(row), row))


def zero_shot_row(actor: str) -> str:
    """Return the name of the zero-shot row of an actor.

    This row is trained without the action labels of this actor (section 4.4).
    """
    return f"{_ZERO_SHOT}{actor}"


def is_zero_shot(row: str) -> bool:
    """Return whether a row is trained without the action labels of one actor."""
    return row.startswith(_ZERO_SHOT)


def phases(row: str) -> tuple[str, ...]:
    """Return the names of the phases in which a row is trained, in order.

    The name of a phase is also that of its run folder.
    """
    return PHASES.get(row, (row,))


def run_folder(
    workdir: str | os.PathLike, phase: str, final: bool = False
) -> pathlib.Path:
    """Return the run folder of a phase, or of its final run."""
    return pathlib.Path(workdir, f"{phase}_final" if final else phase)


def trainings(
    row: str,
    base: str,
    workdir: str | os.PathLike,
    *,
    final: bool = False,
) -> Iterator[Training]:
    """Yield the training of each phase of a row.

    Args:
      row: one of `names()`.
      base: flagfile of the network.
      workdir: folder of the run folders.
      final: whether these are the final runs. Each gets the threshold that the first
        run of its phase chose, if that is finished.
    """
    previous = None
    for phase in phases(row):
        setting_flags = [f"--flagfile={os.path.abspath(flagfiles.find(base))}"]
        if phase != "full":
            setting_flags.append(f"--flagfile={ABLATIONS / phase}.flags")
        start = []
        if previous:
            # The first phase has started from the weights that the base or the caller
            # names.
            start = [f"--init_run={previous}", *_NO_INITIAL_WEIGHTS]
        elif phase != "full" and not _uses_flow(setting_flags):
            start = ["--init_flow="]
        if final:
            start.append("--val_fraction=0")
            first_run = run_folder(workdir, phase)
            if (first_run / chosen_threshold.FILE).exists():
                threshold = chosen_threshold.read(first_run)
                start.append(f"--score_threshold={threshold}")
        run = run_folder(workdir, phase, final).absolute()
        yield Training(run, setting_flags, start)
        previous = run


def _uses_flow(setting_flags: Sequence[str]) -> bool:
    """Return whether the network of some flagfiles has a motion branch."""
    return Config.parse([*setting_flags, *_NO_INITIAL_WEIGHTS]).model.use_flow
