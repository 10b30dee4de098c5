"""How long a round of a2d start takes: in all, and what remains at each stage.

At first the sizes of the videos and the load of the machine tell it roughly; from the
suggested settings on, what was measured for them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from a2d_tf.core.errors import InputError
from a2d_tf.training.suggestion.host import Host
from a2d_tf.training.suggestion.settings import MOST_SIDE
from a2d_tf.training.suggestion.suggestion_file import MeasuredTimes
from a2d_tf.video.frames import video_reader
from a2d_tf.video.library.library_videos import Job

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

# Seconds of one core, by a round of twelve videos of DAVIS on two busy cores.
_START = 15.0  # of a command that loads a network
_CHECK = 5.0
_SETTINGS = 40.0
_EXPORT = 35.0
_RECORDS = 0.05  # of a frame: flow and motion maps
_MOTION = 0.017  # the motion maps of a frame to predict
_DRAWING = 0.02  # the results of a frame
# Of a training by the number of the canvas' pixels, and of an answer.
_TRAINING = 0.011
_ANSWER = 6e-7
_MOST_PIXELS = 2 * 256**2


class VideoSizes(NamedTuple):
    """How large the videos of a round are.

    Attributes:
      frames: of all videos.
      unpredicted_frames: of those that have no prediction yet.
      pixels: of the frames that the network sees, at most.
    """

    frames: int
    unpredicted_frames: int
    pixels: float

    @classmethod
    def read(cls, jobs: Sequence[Job]) -> VideoSizes:
        """Read the sizes that videos state; one that cannot be read counts none."""
        frames = 0
        unpredicted_frames = 0
        pixels = 0.0
        for job in jobs:
            with contextlib.suppress(InputError):
                reader = video_reader.open_video(job.path)
                count = reader.expected or 0
                frames += count
                if not os.path.exists(job.output):
                    unpredicted_frames += count
                height, width = reader.size
                ratio = min(1.0, MOST_SIDE / max(height, width))
                pixels = max(pixels, ratio**2 * height * width)
        return cls(frames, unpredicted_frames, min(pixels, _MOST_PIXELS))


def rough_times(sizes: VideoSizes, host: Host, minutes: float) -> dict[str, float]:
    """Return about how many seconds each stage takes.

    Programs that run now are taken to go on, and to get their share of the cores.

    Args:
      minutes: of training at most, which a GPU is taken to need.
    """
    cores = host.cores**2 / (host.cores + os.getloadavg()[0])
    training = 60 * minutes
    if host.gpu is None:
        training = min(training, (_START + _TRAINING * sizes.pixels) / cores)
    answer = _ANSWER * sizes.pixels
    prediction = sizes.unpredicted_frames * (answer + _MOTION + _DRAWING)
    return {
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


def measured_times(
    times: MeasuredTimes, *, steps: int, test_frames: int, frames: int, every: int
) -> dict[str, float]:
    """Return how many seconds the stages that use the network take.

    Args:
      steps: of the training that are still to do.
      test_frames: frames that are scored.
      frames: of the videos that are still to be predicted.
      every: of so many frames one is answered.
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


def remaining_seconds(times: Mapping[str, float], stage: str) -> float:
    """Return how long a stage and those behind it take; 0 of a stage of no order."""
    seconds = 0.0
    if stage not in STAGES:
        return seconds
    for name in STAGES[STAGES.index(stage) :]:
        seconds += times.get(name, 0.0)
    return seconds


def in_words(seconds: float) -> str:
    """Return a time in words: "a minute", or "about 12 minutes" or hours."""
    minutes = round(seconds / 60)
    if minutes <= 1:
        return "about a minute"
    if minutes < 120:
        return f"about {minutes} minutes"
    return f"about {minutes / 60:.1f} hours"
