"""Flags of a prediction that name videos, the part to predict, and the results."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Sequence

from a2d_tf.behaviour import prediction_folder
from a2d_tf.core.command.register import Register
from a2d_tf.core.errors import InputError
from a2d_tf.core.machine import tasks
from a2d_tf.core.machine.tasks import Task


@dataclasses.dataclass(frozen=True)
class VideoFlags:
    """The flags of a prediction that name videos, their part, and the results.

    Attributes:
      register: the register of the flags, which holds their values once they are
        parsed.
    """

    register: Register

    @classmethod
    def define(cls, register: Register) -> VideoFlags:
        """Define the flags in the register of a command.

        These are --video, --videos, --output, --results, --overwrite, --on_error,
        --task, --every, --start, --end and --fps.
        """
        register.define_string(
            "video",
            None,
            "Video file, folder of images, or number of a camera, which runs until"
            " Ctrl-C; or a library: a folder of videos, or a glob in quotes.",
        )
        register.define_string(
            "videos", None, "Text file of the videos of a library, one per line."
        )
        register.define_string(
            "output",
            None,
            f"Folder for {', '.join(prediction_folder.RESULTS)}. A library has such a"
            " folder for each video.",
        )
        register.define_list(
            "results",
            list(prediction_folder.RESULT_FILES),
            f"Results to write: {','.join(prediction_folder.RESULT_FILES)}.",
        )
        register.define_bool(
            "overwrite", False, "Replace a library's predictions of other settings."
        )
        register.define_enum(
            "on_error",
            "fail",
            ["fail", "skip"],
            "If a video of a library fails: stop, or list it and go on.",
        )
        register.define_string("task", None, f"Of a library: {tasks.HELP}")
        register.define_integer(
            "every", 1, "Segment only every Nth frame.", lower_bound=1
        )
        register.define_float(
            "start", 0.0, "Second at which the segmented part starts.", lower_bound=0
        )
        register.define_float(
            "end",
            None,
            "Second at which the segmented part ends; by default the video's end.",
        )
        register.define_float(
            "fps",
            None,
            "Images a second of a folder of images; if it is not given, 25 are"
            " assumed.",
            1e-3,
            1e6,
        )
        return cls(register)

    @property
    def output(self) -> str:
        """The path of the folder of the results, the value of --output."""
        return os.path.normpath(self.register.output)

    def check(self) -> None:
        """Check that the flags of videos go together.

        Raises:
          InputError: both --video and --videos are set, or --end is not after --start.
        """
        if self.register.video and self.register.videos:
            raise InputError(
                "--videos is a list in place of --video; use one or the other"
            )
        start = self.register.start
        end = self.register.end
        if not start < (sys.float_info.max if end is None else end) < math.inf:
            raise InputError(
                f"--start={start:g}, --end={end}: use seconds, with the end after the"
                " start"
            )

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of results to write, those of --results and of the page."""
        return kinds_of_results(self.register.results)

    def task(self) -> Task:
        """Return this process's share of the videos of a library, the value of --task.

        Raises:
          InputError: --task is not of the form I/N.
        """
        if self.register.task:
            return Task.parse(self.register.task)
        return tasks.ALONE


def kinds_of_results(names: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of results that --results names, and those that the page needs.

    Args:
      names: the words of --results, keys of `RESULT_FILES`.

    Returns:
      the kinds in the order of `RESULT_FILES`; "page" brings "overlay" and "tracks".

    Raises:
      InputError: a name is unknown, or there is no name.
    """
    known = prediction_folder.RESULT_FILES
    kinds = set(names)
    if not kinds or not kinds <= set(known):
        raise InputError(
            f"--results={','.join(names)}: use one or more of {','.join(known)}"
        )
    if "page" in kinds:
        kinds |= {"overlay", "tracks"}
    return tuple(kind for kind in known if kind in kinds)
