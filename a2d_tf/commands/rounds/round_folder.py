"""The output folder of an a2d start: what it holds, and where."""

from __future__ import annotations

import dataclasses
import pathlib

from a2d_tf.data.record_folder.manifest import NAME
from a2d_tf.runs import run_folder, scores


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
        """The flagfile with the suggested settings of the training."""
        return self.path / "own.flags"

    @property
    def run(self) -> pathlib.Path:
        """The run folder of the training."""
        return self.path / "run"

    @property
    def sheets(self) -> pathlib.Path:
        """Return the folder with pictures of the annotated frames, to look at."""
        return self.run / run_folder.SHEETS

    @property
    def scores(self) -> pathlib.Path:
        """The scores of the trained network on the videos held out."""
        return scores.folder_of(self.run)

    @property
    def scores_before(self) -> pathlib.Path:
        """The scores of the previous round's network on this round's test frames."""
        return self.path / "scores_before"

    @property
    def comparison(self) -> pathlib.Path:
        """Return the CSV file that compares this round with the one before."""
        return self.path / "rounds.csv"

    @property
    def videos_before(self) -> pathlib.Path:
        """The previous round's predictions of the videos held out, a library."""
        return self.path / "videos_before"

    @property
    def folds(self) -> pathlib.Path:
        """The folder of the cross-validation: its folds, runs and scores."""
        return self.path / "folds"

    @property
    def model(self) -> pathlib.Path:
        """The folder of the exported model, a SavedModel."""
        return self.path / "model"

    @property
    def videos(self) -> pathlib.Path:
        """The folder of the predictions of all videos, a library."""
        return self.path / "videos"

    @property
    def logs(self) -> pathlib.Path:
        """The folder of the logs: what each single command printed, a file for each."""
        return self.path / "logs"

    def has_records(self) -> bool:
        """Return whether the records are built."""
        return (self.records / NAME).exists()

    def is_trained(self) -> bool:
        """Return whether the training has finished."""
        return (self.run / run_folder.FINISHED).is_file()
