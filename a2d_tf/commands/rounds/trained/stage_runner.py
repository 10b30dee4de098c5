"""Run the stages of a round: each is a single command with a log of its own."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence

from a2d_tf.commands.rounds.stage_clock import stage_time
from a2d_tf.commands.rounds.trained.stage_times import NO_TIMES, StageTimes, in_words
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_text
from a2d_tf.core.machine import processes


@dataclasses.dataclass(frozen=True)
class StageRunner:
    """Runs commands, and prints a line before and after each.

    Attributes:
      logs: the folder of what the commands print, a file for each stage.
      further_flags: {command: flags that the user gave it after `--`}.
      times: the expected times of the stages.
    """

    logs: pathlib.Path
    further_flags: Mapping[str, Sequence[str]]
    times: StageTimes = NO_TIMES

    def run(self, stage: str, command: str, *flags: str) -> pathlib.Path:
        """Run a command as a process.

        Args:
          stage: the name of the stage in the printed lines and among the logs.
          command: the name of the command.
          flags: its flags; the user's own follow them.

        Returns:
          the log: the file of what the command printed.

        Raises:
          InputError: the command failed; its log is printed.
        """
        words = [command, *flags, *self.further_flags.get(command, ())]
        seconds = self.times.remaining(stage)
        if seconds:
            print(f"{stage:9} begins, {in_words(seconds)} remain", flush=True)
        start = time.monotonic()
        log = self.logs / f"{stage}.txt"
        try:
            with open(log, "w", encoding="utf-8") as file:
                processes.call(words, file)
        except InputError:
            print(read_text(log), end="", flush=True)
            raise
        line = f"{stage_time(stage, start)}  {processes.command_text(words)}"
        print(line, flush=True)
        return log

    def expecting(self, measured: Mapping[str, float]) -> StageRunner:
        """Return a runner that expects measured times, {stage: seconds}."""
        return dataclasses.replace(self, times=self.times.replaced(measured))

    def without_flag(self, command: str, name: str) -> StageRunner:
        """Return a runner that leaves out a user's flag of a command."""
        flags = dict(self.further_flags)
        flags[command] = [
            word for word in flags.get(command, ()) if not word.startswith(f"--{name}=")
        ]
        return dataclasses.replace(self, further_flags=flags)
