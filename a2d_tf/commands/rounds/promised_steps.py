"""How many steps a training of a2d start has: enough, and never fewer than promised.

A run keeps the steps that it began with, in its settings. However busy the machine is
when the command is given again, the run gets as many.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from a2d_tf.core.config import Config
from a2d_tf.runs import run_folder
from a2d_tf.runs.training_length import LEAST_STEPS
from a2d_tf.training.suggestion.suggestion_file import Suggestion


def of_run(run: str | os.PathLike) -> int:
    """Return the steps that a run began with; 0 if it did not begin.

    Raises:
      InputError: its settings are damaged.
    """
    if not os.path.isfile(run_folder.flags_path(run)):
        return 0
    return run_folder.read_config(run).training.steps


def given(words: Sequence[str]) -> int | None:
    """Return the steps that a user gives by --steps; None without.

    Raises:
      InputError: no number.
    """
    steps = [word for word in words if word.startswith("--steps=")]
    if not steps:
        return None
    return Config.parse(steps).training.steps


def instead(steps: int, suggestion: Suggestion) -> str:
    """Say that a user's steps are trained in place of those that are suggested."""
    text = f"--steps={steps} in place of the suggested {suggestion.steps} steps"
    if suggestion.times is None:
        return text
    seconds = suggestion.times.start + steps * suggestion.times.step
    return f"{text}: about {seconds / 60:.1f} minutes of training"


def shortage(steps: int, suggestion: Suggestion) -> str:
    """Say that a training of suggested settings is too short; "" if it is not.

    Args:
      steps: of the training.
      suggestion: with the minutes that are too few.
    """
    if steps >= LEAST_STEPS:
        return ""
    return (
        f"--minutes={suggestion.minutes:g} are {steps} training steps on this machine"
        f" as busy as it is now, and fewer than {LEAST_STEPS} teach next to nothing"
    )


def remedy(suggestion: Suggestion) -> str:
    """Say with how many minutes a training is long enough."""
    if suggestion.times is None:
        return "give it more --minutes"
    seconds = suggestion.times.start + LEAST_STEPS * suggestion.times.step
    return f"give it --minutes={max(1, -(-seconds // 60)):.0f} or more"
