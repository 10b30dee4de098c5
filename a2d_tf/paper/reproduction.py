"""Train and score the rows of the paper's tables, except those that are finished.

Several processes may share the run folders: a row is locked while a process works on
it.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from collections.abc import Iterable, Sequence

from a2d_tf.core.command import flagfiles
from a2d_tf.core.errors import InputError
from a2d_tf.core.locks import locked
from a2d_tf.core.machine import processes
from a2d_tf.data.record_folder.manifest import Manifest
from a2d_tf.paper import table_rows
from a2d_tf.paper.folds import Fold, test_videos_flag
from a2d_tf.paper.results import Result
from a2d_tf.paper.stages import SeededRow, Stage, begun_rows
from a2d_tf.paper.training_flags import are_those_of, config_of, flags_of_row
from a2d_tf.runs import run_folder, scores


@dataclasses.dataclass(frozen=True)
class Plan:
    """The settings by which rows are trained and scored.

    Attributes:
      base: the flagfile of the network.
      train: further flags, for every training ('--steps=9') or for one row
        ('no_joint:--steps=4').
      final: whether a row, unless it is zero-shot, ends with a run on all training
        videos.
      delete_weights: whether a row's checkpoints are deleted when it is scored.
      device: the device, see `devices.prepare`.
    """

    base: str
    train: Sequence[str] = ()
    final: bool = False
    delete_weights: bool = False
    device: str = "auto"

    def train_flags(self, row: str) -> list[str]:
        """Select the further flags of a row; see `flags_of_row`."""
        return flags_of_row(self.train, row)

    def stages(self, row: SeededRow) -> list[Stage]:
        """Return the stages of a row.

        Fig. 4 compares the zero-shot rows with the full model before its final run, so
        that they have no final runs.
        """
        if self.final and not table_rows.is_zero_shot(row.name):
            return [Stage(row), Stage(row, final=True)]
        return [Stage(row)]

    def check(self, rows: Iterable[str], fold: Fold, seed: int) -> None:
        """Raise InputError if a training of some rows would refuse its flags.

        Args:
          rows: the names of the rows.
          fold: the fold of the runs; its records need not exist.
          seed: the seed of the trainings.
        """
        for name in rows:
            for stage in self.stages(SeededRow(fold, name, seed)):
                for training in self._trainings(stage):
                    config_of(self._settings(stage, training))

    def make_records(
        self, fold: Fold, source: Sequence[str], tests: Sequence[str] = ()
    ) -> None:
        """Make the records of a fold, at the network's frame size, if there are none.

        Args:
          fold: the fold.
          source: the flags of `a2d records` that name the data.
          tests: the videos of the test split; by default the data's own split.
        """
        base = f"--flagfile={os.path.abspath(flagfiles.find(self.base))}"
        model = config_of([base, *self.train_flags("full")]).model
        words = [
            *source,
            f"--output={fold.records}",
            f"--image_height={model.image_height}",
            f"--image_width={model.image_width}",
            f"--clip_frames={model.frames}",
        ]
        if tests:
            words.append(test_videos_flag(tests))
        # A process of its own frees its memory for the runs.
        processes.call(["records", *words])

    def train_and_score(self, stage: Stage) -> None:
        """Train and score a stage; phases that are trained are not trained again.

        Raises:
          InputError: a phase failed.
        """
        trainings = self._trainings(stage)
        for training in trainings:
            common = self._run_flags(stage, training)
            settings = self._settings(stage, training)
            processes.call(["train", *common, *settings])
        common = self._run_flags(stage, trainings[-1])
        processes.call(["evaluate", *common, f"--split={scores.TEST}"])

    def is_scored(self, stage: Stage) -> bool:
        """Return whether a stage of these settings is scored on the test split."""
        last = self._trainings(stage)[-1]
        source = Manifest.load(stage.row.fold.records).source
        if not scores.are_current(last.run, scores.folder_of(last.run), source):
            return False
        wanted = config_of(self._settings(stage, last))
        written = run_folder.read_config(last.run)
        return are_those_of(written, wanted)

    def run_all(self, fold: Fold, seeds: list[int], rows: list[str]) -> list[Result]:
        """Train and score the rows that are not scored yet.

        Args:
          fold: the fold.
          seeds: the seeds of the trainings.
          rows: the names of the rows.

        Returns:
          the results of these rows and of all rows begun earlier, in the order of seeds
          and rows, except rows that other processes work on.
        """
        wanted = []
        for seed in seeds:
            wanted += [SeededRow(fold, name, seed) for name in rows]
        errors: dict[SeededRow, str] = {}
        for i, row in enumerate(wanted, 1):
            print(f"\n== {i}/{len(wanted)} {row.name}, seed {row.seed}", flush=True)
            with locked(row.lock, wait=False) as held:
                if not held:
                    print("another process is running it", flush=True)
                    continue
                try:
                    self._complete(row)
                except InputError as error:
                    errors[row] = str(error)
                    print(f"failed: {error}", file=sys.stderr, flush=True)

        results = []
        for row in begun_rows(fold):
            with locked(row.lock, wait=False) as held:
                if not held:
                    continue
                stages = self.stages(row) if row in wanted else [Stage(row)]
                problem = errors.get(row)
                if problem is None and not all(map(self.is_scored, stages)):
                    problem = "not finished"
                results.append(self._result(row, problem))
        return results

    def _trainings(self, stage: Stage) -> list[table_rows.Training]:
        """Return the `Training` of each phase of a stage."""
        row = stage.row
        return list(
            table_rows.trainings(row.name, self.base, row.folder, final=stage.final)
        )

    def _run_flags(self, stage: Stage, training: table_rows.Training) -> list[str]:
        """Return the flags that training and scoring a phase have in common."""
        return [
            f"--records={os.path.abspath(stage.row.fold.records)}",
            f"--workdir={training.run}",
            f"--device={self.device}",
        ]

    def _settings(self, stage: Stage, training: table_rows.Training) -> list[str]:
        """Return the flags of the settings of a phase."""
        row = stage.row
        further = [*self.train_flags(row.name), f"--seed={row.seed}"]
        return [*training.flagfiles, *further, *training.start]

    def _result(self, row: SeededRow, problem: str | None) -> Result:
        """Return the result of a row.

        Args:
          problem: the reason why it has no scores; None if it has scores.
        """
        final = Stage(row, final=True)
        return Result(
            row=row.name,
            seed=row.seed,
            folder=Stage(row).scored_run,
            error=problem,
            final=final.scored_run if self.is_scored(final) else None,
            fold=row.fold.name,
        )

    def _complete(self, row: SeededRow) -> None:
        """Train and score the stages of a row that are not scored."""
        for stage in self.stages(row):
            if self.is_scored(stage):
                continue
            self.train_and_score(stage)
            if self.delete_weights:
                for phase in table_rows.phases(row.name):
                    run = table_rows.run_folder(row.folder, phase, stage.final)
                    shutil.rmtree(run / "checkpoints", ignore_errors=True)
                    shutil.rmtree(run / "best", ignore_errors=True)
