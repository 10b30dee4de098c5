"""Where the checkpoints of a run folder are, without TensorFlow.

The commands that start trainings leave TensorFlow to their processes.
"""

from __future__ import annotations

import os
import pathlib

from a2d_tf.core.errors import InputError

FOLDERS = {"last": "checkpoints", "best": "best"}
"""Kind of a checkpoint -> its folder in a run folder."""
BEST = "validation.json"
"""In `best/`: {"step", "score" in percent, "score_threshold"} of that validation."""


def check_path(path: str | os.PathLike[str]) -> None:
    """Raise InputError if TensorFlow cannot read weights at a path.

    It writes there, but reads [ and \\ as parts of a pattern.
    """
    if "[" in str(path) or "\\" in str(path):
        raise InputError(
            f"{path}: TensorFlow cannot read weights from a path with [ or \\; rename"
            " the folder"
        )


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
