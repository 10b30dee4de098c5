"""How many steps a training of a2d start has: enough, and no fewer than it began with.

A run keeps its number of steps in its settings. It gets as many when the command is
given again on a busier machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from a2d_tf.commands.rounds.round_request import RoundRequest
from a2d_tf.core.errors import InputError
from a2d_tf.core.settings.config import Config
from a2d_tf.runs import run_folder
from a2d_tf.runs.training_length import LEAST_STEPS
from a2d_tf.training.suggestion.suggestion_file import Suggestion


class TrainingSteps(NamedTuple):
    """The length of a training.

    Attributes:
      number: the number of training steps.
      flags: the flag of a2d train that raises the suggested number, if one is needed.
    """

    number: int
    flags: list[str]


def choose(request: RoundRequest, suggestion: Suggestion) -> TrainingSteps:
    """Choose the steps of a round's training, and print why they are not as suggested.

    Raises:
      InputError: the suggested training is too short, and the user did not choose so.
    """
    begun = steps_of_run(request.folder.run)
    number = max(suggestion.steps, begun)
    flags = []
    user_steps = steps_of_flags(request.further_flags.get("train", ()))
    problem = describe_shortage(number, suggestion)
    if problem:
        remedy = describe_remedy(suggestion)
        if not request.accepts_few_steps:
            raise InputError(
                f"{problem}; end other programs, or {remedy}, and run the same command"
                " again"
            )
        if user_steps is None:
            print(f"warning: {problem}; to teach it more, {remedy}", flush=True)
    if begun > suggestion.steps:
        print(f"the training goes on to the {begun} steps that it began with")
        flags.append(f"--steps={begun}")
    if user_steps is not None:
        number = user_steps
        print(describe_user_steps(user_steps, suggestion), flush=True)
    return TrainingSteps(number, flags)


def steps_of_run(run: str | os.PathLike) -> int:
    """Return the number of steps that a run began with; 0 if it did not begin.

    Raises:
      InputError: its settings are damaged.
    """
    if not os.path.isfile(run_folder.flags_path(run)):
        return 0
    return run_folder.read_config(run).training.steps


def steps_of_flags(words: Sequence[str]) -> int | None:
    """Return the number that --steps gives; None without that flag.

    Args:
      words: the user's flags of a2d train.

    Raises:
      InputError: --steps is not a number.
    """
    steps = [word for word in words if word.startswith("--steps=")]
    if not steps:
        return None
    return Config.parse(steps).training.steps


def describe_user_steps(steps: int, suggestion: Suggestion) -> str:
    """Say that the user's steps replace the suggested ones, and how long they take."""
    text = f"--steps={steps} in place of the suggested {suggestion.steps} steps"
    if suggestion.times is None:
        return text
    seconds = suggestion.times.start + steps * suggestion.times.step
    return f"{text}: about {seconds / 60:.1f} minutes of training"


def describe_shortage(steps: int, suggestion: Suggestion) -> str:
    """Say that a training is too short; return "" if it is not.

    Args:
      steps: the number of its steps.
      suggestion: the suggested settings, made for the minutes that are too few.
    """
    if steps >= LEAST_STEPS:
        return ""
    return (
        f"--minutes={suggestion.minutes:g} are {steps} training steps on this machine"
        f" as busy as it is now, and fewer than {LEAST_STEPS} teach next to nothing"
    )


def describe_remedy(suggestion: Suggestion) -> str:
    """Return the advice for a training that would be too short: its least --minutes.

    Without measured times of steps, the advice is to give it more.
    """
    if suggestion.times is None:
        return "give it more --minutes"
    seconds = suggestion.times.start + LEAST_STEPS * suggestion.times.step
    return f"give it --minutes={max(1, -(-seconds // 60)):.0f} or more"
