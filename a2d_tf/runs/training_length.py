"""A warning of networks that were trained for too few steps to be believed.

The module does without TensorFlow.
"""

from __future__ import annotations

import os
import re

from a2d_tf.core.checked_json import load_json
from a2d_tf.runs import run_folder

LEAST_STEPS = 100
"""The least number of training steps; fewer teach a network next to nothing."""

_EXPORT = "a2d_tf.json"  # the file of an export that names its checkpoint


def warning(path: str) -> str:
    """Return a warning for people if a network was hardly trained.

    Args:
      path: the run folder or the folder of an export; for anything else the number of
        steps is unknown.

    Returns:
      the warning; "" if the last training had 100 steps (LEAST_STEPS) or more, or if
      the number is unknown.

    Raises:
      InputError: a file is damaged.
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
