"""Whether a network was trained long enough to be believed.

Without TensorFlow.
"""

from __future__ import annotations

import os
import re

from a2d_tf.core.checked_json import load_json
from a2d_tf.runs import run_folder

LEAST_STEPS = 100
"""Training steps; fewer teach a network next to nothing."""

_EXPORT = "a2d_tf.json"  # of an export, which names the weights


def warning(path: str) -> str:
    """Return what to say of a network that was hardly trained; "" of any other.

    Args:
      path: the folder of a run or of its export; anything else has no number of steps.

    Raises:
      InputError: a damaged file.
    """
    steps = _steps(path)
    if steps is None or steps >= LEAST_STEPS:
        return ""
    unit = "step" if steps == 1 else "steps"
    return (
        f"This network's last training had only {steps} {unit}; fewer than"
        f" {LEAST_STEPS} teach next to nothing. Believe no label that was to be"
        " learned in it: train longer, as by a2d start with more --minutes."
    )


def _steps(path: str) -> int | None:
    """Return the steps of the last training; None if nothing tells."""
    finished = os.path.join(path, run_folder.FINISHED)
    if os.path.isfile(finished):
        return load_json(finished, {"steps": int}, "delete it")["steps"]
    export = os.path.join(path, _EXPORT)
    if os.path.isfile(export):
        name = load_json(export, {"checkpoint": str}, "export it again")["checkpoint"]
        match = re.fullmatch("ckpt-([0-9]+)", name)
        if match:
            return int(match[1])
    return None
