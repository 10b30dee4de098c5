"""Expected times of the stages of a round.

First they are estimated from the sizes of the videos and the load of the machine. After
`a2d suggest-config`, the stages that use the network have measured times.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import NamedTuple

from a2d_tf.commands.rounds.trained.video_sizes import VideoSizes
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.suggestion_file import MeasuredTimes

STAGES = (
    "check",
    "records",
    "sheets",
    "settings",
    "training",
    "scores",
    "videos",
    "objects",
    "before",
    "compare",
    "browse",
    "pages",
    "export",
)
"""The stages of a round, in their order."""

# Seconds of one core, measured in a round of twelve videos of DAVIS on two busy cores.
_START = 15.0  # a command that loads a network
_CHECK = 5.0
_SETTINGS = 40.0
_EXPORT = 35.0
_RECORDS = 0.05  # a frame: flow and motion maps
_MOTION = 0.017  # a frame to predict: motion maps
_DRAWING = 0.02  # a frame: its results
_TRAINING = 0.011  # a pixel of the canvas: a whole training
_ANSWER = 6e-7  # a pixel of an answered frame


class StageTimes(NamedTuple):
    """The expected times of the stages of a round.

    Attributes:
      seconds: {name of a stage: its expected seconds}; the times of other stages are
        not known.
    """

    seconds: Mapping[str, float]

    def total(self) -> float:
        """Return the sum of the expected times, in seconds."""
        return sum(self.seconds.values())

    def remaining(self, stage: str) -> float:
        """Return the seconds from the start of a stage to the end of the round.

        They are 0 if the stage is none of STAGES, as the stages of folds.
        """
        seconds = 0.0
        if stage not in STAGES:
            return seconds
        for name in STAGES[STAGES.index(stage) :]:
            seconds += self.seconds.get(name, 0.0)
        return seconds

    def without(self, finished: Collection[str]) -> StageTimes:
        """Return the times of the stages that are not finished."""
        unfinished = {}
        for stage, seconds in self.seconds.items():
            if stage not in finished:
                unfinished[stage] = seconds
        return StageTimes(unfinished)

    def replaced(self, measured: Mapping[str, float]) -> StageTimes:
        """Return these stages with the times that were measured, {stage: seconds}."""
        seconds = {}
        for stage, estimate in self.seconds.items():
            seconds[stage] = measured.get(stage, estimate)
        return StageTimes(seconds)


NO_TIMES = StageTimes({})


def estimated_times(
    sizes: VideoSizes, host: Host, minutes: float, *, has_round_before: bool = False
) -> StageTimes:
    """Estimate the times of all stages.

    Programs that run now are expected to go on, and to get their share of the cores.

    Args:
      minutes: maximum number of minutes of training; a GPU is expected to need them.
      has_round_before: whether a round before is scored, too.
    """
    cores = host.cores**2 / (host.cores + os.getloadavg()[0])
    training = 60 * minutes
    if host.gpu is None:
        training = min(training, (_START + _TRAINING * sizes.pixels) / cores)
    answer = _ANSWER * sizes.pixels
    prediction = sizes.unpredicted_frames * (answer + _MOTION + _DRAWING)
    seconds = {
        "check": _CHECK / cores,
        "records": (_START + sizes.frames * _RECORDS) / cores,
        "sheets": _CHECK / cores,
        "settings": _SETTINGS / cores,
        "training": training,
        "scores": _START / cores,
        "browse": _CHECK / cores,
        "export": _EXPORT / cores,
        "videos": (_START + prediction) / cores,
    }
    if has_round_before:
        seconds["before"] = seconds["scores"]
    return StageTimes(seconds)


def measured_times(
    times: MeasuredTimes, *, steps: int, test_frames: int, frames: int, every: int
) -> dict[str, float]:
    """Return the seconds of the stages that use the network.

    Args:
      steps: number of training steps still to do.
      test_frames: number of frames to score.
      frames: number of frames of the videos still to predict.
      every: the interval of the predicted frames, in frames of the video.
    """
    training = 0.0
    if steps:
        training = times.start + steps * times.step
    scores = times.start + test_frames * times.answer
    return {
        "training": training,
        "scores": scores,
        "before": scores,
        "videos": times.start + frames * (times.answer / every + times.motion),
    }


def in_words(seconds: float) -> str:
    """Return a time in words: "a minute", or "about 12 minutes" or hours."""
    minutes = round(seconds / 60)
    if minutes <= 1:
        return "about a minute"
    if minutes < 120:
        return f"about {minutes} minutes"
    return f"about {minutes / 60:.1f} hours"
