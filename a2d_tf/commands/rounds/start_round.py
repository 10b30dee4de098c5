"""A round of a2d start: what it is asked to do, and its folder."""

from __future__ import annotations

import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence

from a2d_tf.runs import run_folder, scores
from a2d_tf.video.library.library_videos import Job


@dataclasses.dataclass(frozen=True)
class RoundFolder:
    """The output folder of an a2d start."""

    path: pathlib.Path

    @property
    def records(self) -> pathlib.Path:
        """The records of the annotated videos."""
        return self.path / "records"

    @property
    def flagfile(self) -> pathlib.Path:
        """The suggested settings."""
        return self.path / "own.flags"

    @property
    def run(self) -> pathlib.Path:
        """The run folder of the training."""
        return self.path / "run"

    @property
    def sheets(self) -> pathlib.Path:
        """Sheets of annotated frames, to look at."""
        return self.run / run_folder.SHEETS

    @property
    def scores(self) -> pathlib.Path:
        """Scores of the run on the videos held out."""
        return scores.folder_of(self.run)

    @property
    def scores_before(self) -> pathlib.Path:
        """Scores of the round before, on the frames of this one."""
        return self.path / "scores_before"

    @property
    def comparison(self) -> pathlib.Path:
        """Counts of both rounds, a row for each pair."""
        return self.path / "rounds.csv"

    @property
    def videos_before(self) -> pathlib.Path:
        """Predictions of the round before, of the videos held out."""
        return self.path / "videos_before"

    @property
    def folds(self) -> pathlib.Path:
        """What the cross-validation leaves."""
        return self.path / "folds"

    @property
    def model(self) -> pathlib.Path:
        """The SavedModel."""
        return self.path / "model"

    @property
    def videos(self) -> pathlib.Path:
        """The library of predictions."""
        return self.path / "videos"

    @property
    def logs(self) -> pathlib.Path:
        """What the single commands print, a file for each stage."""
        return self.path / "logs"

    def is_trained(self) -> bool:
        """Return whether the training has finished."""
        return (self.run / run_folder.FINISHED).is_file()


@dataclasses.dataclass(frozen=True)
class Round:
    """What a user asks of an a2d start.

    Attributes:
      folder: of all results.
      videos: folder of all videos, as the user gave it.
      jobs: these videos, each with the folder of its page.
      exports: of an annotation tool; with --tracks, of the tracks.
      bouts: files of coded times.
      further_flags: {single command: flags that the user gave it after `--`}.
      minutes: of a training at most.
      accepts_few_steps: whether they said on purpose how long to train.
      before: the folder of the round that this one goes on from, if there is one.
      folds: how many, or the path of a CSV; None: no cross-validation.
    """

    folder: RoundFolder
    videos: str
    jobs: Sequence[Job]
    exports: Sequence[str]
    bouts: Sequence[str]
    further_flags: Mapping[str, list[str]]
    minutes: float
    accepts_few_steps: bool = False
    before: RoundFolder | None = None
    folds: str | None = None


def stage_time(stage: str, start: float) -> str:
    """Return the name of a stage and how long it took since `start`, monotonic time."""
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    return f"{stage:9}{minutes:3}:{seconds:02}"
