"""Train and score the rows of the paper's tables; what is done is kept.

Several processes may share the runs: each run is locked while one is at it.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import pathlib
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2d_tf.core import command_line, processes
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError, join_names, quoted
from a2d_tf.core.files import is_file_name, read_text
from a2d_tf.core.locks import locked
from a2d_tf.data.manifest import Manifest
from a2d_tf.paper import table_rows
from a2d_tf.runs import scores

_NO_SETTINGS = ("--pictures", "--device", "--debug", "--nodebug")
"""Flags of `a2d train` that are no settings."""
# A training may know these better than its flags.
_BACKBONES = (
    "rgb_convention",
    "flow_convention",
    "stride_in_1x1",
    "roi_align",
    "pixel_scale",
)
_COMPLETED = (*_BACKBONES, "readout", "use_mask")


class Run(NamedTuple):
    """A row that was trained and scored with a seed, or was to be.

    Attributes:
      seed: of its trainings.
      row: its name.
      error: why it has no scores; None if it has.
    """

    seed: int
    row: str
    error: str | None


class FoldRuns(NamedTuple):
    """The runs of a fold.

    Attributes:
      folder: of its runs.
      records: folder of the records, in which this fold is the test split.
      runs: of all seeds and rows.
    """

    folder: str
    records: str
    runs: list[Run]


@dataclasses.dataclass(frozen=True)
class Stage:
    """The trainings of all phases of a row, of which the last one is scored.

    A row has one stage, or a second one of its final runs.

    Attributes:
      row: its name.
      records: folder of the records.
      folder: of the run folders.
      seed: of the trainings.
      final: whether these are the final runs, on all training videos. Their thresholds
        are those of the first stage.
    """

    row: str
    records: str
    folder: str
    seed: int
    final: bool = False


def read_folds(path: str, tested: Sequence[str] = ()) -> dict[str, list[str]]:
    """Read a CSV with the columns video and fold: {fold: its videos}.

    Raises:
      InputError: it cannot be read, a column or a fold of `tested` is missing, or a
        video is there twice.
    """
    folds: dict[str, list[str]] = {}
    videos = set()
    try:
        for row in csv.DictReader(read_text(path).splitlines()):
            fold = (row.get("fold") or "").strip()
            video = (row.get("video") or "").strip()
            if video in videos:
                raise ValueError(f"{quoted(video)} is there twice")
            videos.add(video)
            folds.setdefault(fold, []).append(video)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"--folds={path}: {error}; expected a CSV, a row a video"
        ) from error
    all_listed = set(tested) <= set(folds)
    if not folds or not all_listed or not all(map(is_file_name, folds)):
        names = join_names([quoted(fold) for fold in folds])
        raise InputError(
            f"--folds={path}: has the folds {names}; use a CSV with the columns video"
            " and fold, and --test_folds from its folds"
        )
    return folds


@dataclasses.dataclass(frozen=True)
class Plan:
    """How rows are trained and scored.

    Attributes:
      base: flagfile of the network.
      train: further flags: of every training, as --steps=9, or of a row, as
        no_joint:--steps=4.
      final: whether a row, but for the zero-shot ones, ends with a run on all training
        videos.
      delete_weights: whether a row's checkpoints are deleted once it is scored.
      device: as of `devices.prepare`.
    """

    base: str
    train: Sequence[str] = ()
    final: bool = False
    delete_weights: bool = False
    device: str = "auto"

    def train_flags(self, row: str) -> list[str]:
        """Select the further flags of a row.

        Those of every training come before its own.

        Raises:
          InputError: a flag of no row.
        """
        common = []
        specific = []
        for flag in self.train:
            flag_row, colon, rest = flag.partition(":--")
            if flag.startswith("--"):
                common.append(flag)
            elif not colon or flag_row not in table_rows.names():
                raise InputError(
                    f"--train={flag}: use a flag, e.g. --steps=900, or a run and its"
                    " flag, e.g. no_joint:--steps=450, with one of"
                    f" {', '.join(table_rows.order())}"
                )
            elif flag_row == row:
                specific.append(f"--{rest}")
        return common + specific

    def stages(self, first: Stage) -> list[Stage]:
        """Return the stages of a row, of which the first is given.

        Fig. 4 compares the zero-shot rows with the full model before its final run, so
        that they have no final runs.
        """
        if self.final and table_rows.ZERO_SHOT not in first.row:
            return [first, dataclasses.replace(first, final=True)]
        return [first]

    def check(self, rows: Iterable[str], workdir: str, seed: int) -> None:
        """Raise InputError if a training of some rows would refuse its flags.

        Args:
          rows: their names.
          workdir: folder of the runs.
          seed: of the trainings.
        """
        for row in rows:
            first = Stage(row=row, records="", folder=workdir, seed=seed)
            for stage in self.stages(first):
                for training in self._trainings(stage):
                    _config(self._settings(stage, training))

    def make_records(
        self, workdir: str, source: Sequence[str], tests: Sequence[str] = ()
    ) -> None:
        """Make records of the network's size in `workdir/records`, if there are none.

        Args:
          source: flags of `a2d records` for what they are made of.
          tests: videos of the test split; by default the source's own.
        """
        base = f"--flagfile={os.path.abspath(command_line.find(self.base))}"
        model = _config([base, *self.train_flags("full")]).model
        words = [
            *source,
            f"--output={workdir}/records",
            f"--image_height={model.image_height}",
            f"--image_width={model.image_width}",
            f"--clip_frames={model.frames}",
        ]
        if tests:
            names = []
            for video in tests:
                names.append(f'"{video}"' if "," in video else video)
            words.append(f"--test_videos={','.join(names)}")
        processes.call(["records", *words])  # whose memory the runs need

    def train_and_score(self, stage: Stage) -> None:
        """Train and score a stage; what is done already is not done again.

        Raises:
          InputError: a phase failed.
        """
        trainings = self._trainings(stage)
        for training in trainings:
            common = self._run_flags(stage, training)
            settings = self._settings(stage, training)
            processes.call(["train", *common, *settings])
        if not self.is_scored(stage):
            common = self._run_flags(stage, trainings[-1])
            processes.call(["evaluate", *common, f"--split={scores.TEST}"])

    def _trainings(self, stage):
        """Return the `Training` of each phase of a stage."""
        return list(
            table_rows.trainings(stage.row, self.base, stage.folder, stage.final)
        )

    def _run_flags(self, stage, training):
        """Return the flags that training and scoring a phase have in common."""
        return [
            f"--records={os.path.abspath(stage.records)}",
            f"--workdir={training.run}",
            f"--device={self.device}",
        ]

    def _settings(self, stage, training):
        """Return the flags of the settings of a phase."""
        further = [*self.train_flags(stage.row), f"--seed={stage.seed}"]
        return [*training.flagfiles, *further, *training.start]

    def is_scored(self, stage: Stage) -> bool:
        """Return whether a stage of these settings is scored on the test split."""
        last = self._trainings(stage)[-1]
        source = Manifest.load(stage.records).source
        if not scores.are_current(last.run, scores.folder_of(last.run), source):
            return False
        wanted = _config(self._settings(stage, last))
        written = Config.read(last.run / "flags.txt")
        return _compared_settings(wanted) == _compared_settings(written)

    def run_all(
        self,
        workdir: str | os.PathLike,
        records: str,
        seeds: list[int],
        rows: list[str],
    ) -> list[Run]:
        """Train and score what is not done yet.

        Returns:
          these and all earlier runs, except those that other processes are still at.
        """
        wanted: list[Stage] = []  # the first stages
        for seed in seeds:
            folder = os.path.join(workdir, f"seed{seed}")
            for row in rows:
                wanted.append(Stage(row, records, folder, seed))
        errors: dict[Stage, str] = {}
        for i, first in enumerate(wanted, 1):
            print(f"\n== {i}/{len(wanted)} {first.row}, seed {first.seed}", flush=True)
            lock = os.path.join(first.folder, f"{first.row}.lock")
            with locked(lock, wait=False) as held:
                if not held:
                    print("another process is running it", flush=True)
                    continue
                try:
                    self._complete(first)
                except InputError as error:
                    errors[first] = str(error)
                    print(f"failed: {error}", file=sys.stderr, flush=True)

        runs = []
        for path in pathlib.Path(workdir).glob("seed*/*.lock"):
            seed = int(path.parent.name.removeprefix("seed"))
            folder = os.path.join(workdir, path.parent.name)
            first = Stage(path.stem, records, folder, seed)
            with locked(path, wait=False) as held:
                if not held:
                    continue
                stages = [first]
                if first in wanted:
                    stages = self.stages(first)
                problem = errors.get(first)
                if problem is None and not self._are_scored(stages):
                    problem = "not finished"
                runs.append(Run(seed, first.row, error=problem))
        return runs

    def _are_scored(self, stages):
        """Return whether all of some stages are scored."""
        for stage in stages:
            if not self.is_scored(stage):
                return False
        return True

    def _complete(self, first):
        """Do the stages of a row, of which the first is given, that are not scored."""
        for stage in self.stages(first):
            if self.is_scored(stage):
                continue
            self.train_and_score(stage)
            if self.delete_weights:
                for phase in table_rows.phases(stage.row):
                    run = table_rows.run_folder(stage.folder, phase, stage.final)
                    shutil.rmtree(run / "checkpoints", ignore_errors=True)
                    shutil.rmtree(run / "best", ignore_errors=True)


def _config(words):
    """Return the settings that flags of `a2d train` make."""
    return Config.parse([word for word in words if not word.startswith(_NO_SETTINGS)])


def _compared_settings(config):
    """Return the settings of a training, without those that it completes."""
    settings = {**vars(config.training), **vars(config.model)}
    for name in vars(config.training):
        if name.startswith("init_"):
            settings[name] = None
    settings.update(dict.fromkeys(_COMPLETED))
    return settings
