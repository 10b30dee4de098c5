"""Where the checkpoints of a run folder are, without TensorFlow.

The commands that start trainings leave TensorFlow to their processes.
"""

from __future__ import annotations

import os
import pathlib

FOLDERS = {"last": "checkpoints", "best": "best"}
"""Kind of a checkpoint -> its folder in a run folder."""
BEST = "validation.json"
"""In `best/`: {"step", "score" in percent, "score_threshold"} of that validation."""


def folder(workdir: str | os.PathLike, kind: str = "last") -> str:
    """Return the folder of a run's checkpoints of a kind."""
    return os.path.join(workdir, FOLDERS[kind])


def steps_in(folder: str | os.PathLike) -> list[int]:
    """Return the steps of the checkpoints in a folder, whole or not, in order.

    A user's copy under a name of its own, such as ckpt-best, is none of them.
    """
    steps = []
    for path in pathlib.Path(folder).glob("ckpt-*.index"):
        step = path.stem.removeprefix("ckpt-")
        if step.isdecimal():
            steps.append(int(step))
    return sorted(steps)
