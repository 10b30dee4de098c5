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
from a2d_tf.paper import experiments
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
Runs = dict[tuple[int, str], str]
"""{(seed, row): why it failed, or ""}."""


class FoldRuns(NamedTuple):
    """The runs of a fold.

    Attributes:
      folder: of its runs.
      records: folder of the records, in which this fold is the test split.
      runs: see `Runs`.
    """

    folder: str
    records: str
    runs: Runs


def order() -> list[str]:
    """Order the experiments: the full model first, zero-shot rows last."""
    return sorted(
        experiments.names(),
        key=lambda name: (name != "full", "zero_shot" in name, name),
    )


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

    def train_flags(self, name: str) -> list[str]:
        """Select the further flags of an experiment.

        Those of every training come before its own.

        Raises:
          InputError: a flag of no experiment.
        """
        common = []
        specific = []
        for flag in self.train:
            row, colon, rest = flag.partition(":--")
            if flag.startswith("--"):
                common.append(flag)
            elif not colon or row not in experiments.names():
                raise InputError(
                    f"--train={flag}: use a flag, e.g. --steps=900, or a run and its"
                    " flag, e.g. no_joint:--steps=450, with one of"
                    f" {', '.join(order())}"
                )
            elif row == name:
                specific.append(f"--{rest}")
        return common + specific

    def stages(self, name: str) -> list[bool]:
        """List what a row consists of: its runs, False, and its final runs, True.

        Fig. 4 compares the zero-shot rows with the full model before its final run, so
        that they have no final runs.
        """
        if self.final and experiments.ZERO_SHOT not in name:
            return [False, True]
        return [False]

    def check(self, names: Iterable[str], workdir: str, *extra: str) -> None:
        """Raise InputError if a training of some rows would refuse its flags.

        Args:
          names: of the rows.
          workdir: folder of the runs.
          *extra: flags that every training gets as well.
        """
        for name in names:
            for final in self.stages(name):
                for training in experiments.trainings(name, self.base, workdir, final):
                    further = self.train_flags(name)
                    _config([*training.flagfiles, *further, *training.start, *extra])

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

    def train_and_score(
        self, name: str, records: str, folder: str, seed: int, final: bool
    ) -> None:
        """Train and score an experiment; what is done already is not done again.

        Args:
          final: whether to do its final runs, for which it must be trained already.

        Raises:
          InputError: no such experiment, or a phase failed.
        """
        further = [*self.train_flags(name), f"--seed={seed}"]
        for training in experiments.trainings(name, self.base, folder, final):
            common = [
                f"--records={os.path.abspath(records)}",
                f"--workdir={training.run}",
                f"--device={self.device}",
            ]
            processes.call(
                ["train", *common, *training.flagfiles, *further, *training.start]
            )
        if not self.is_scored(name, records, folder, seed, final):
            # The last phase is scored.
            processes.call(["evaluate", *common, f"--split={scores.TEST}"])

    def is_scored(
        self, name: str, records: str, folder: str, seed: int, final: bool
    ) -> bool:
        """Return whether a row's run of these settings is scored on the test split."""
        *_, last = experiments.trainings(name, self.base, folder, final)
        source = Manifest.load(records).source
        if not scores.are_current(last.run, scores.folder_of(last.run), source):
            return False
        further = [*self.train_flags(name), f"--seed={seed}"]
        wanted = _config([*last.flagfiles, *further, *last.start])
        written = Config.read(last.run / "flags.txt")
        return _compared_settings(wanted) == _compared_settings(written)

    def run_all(
        self,
        workdir: str | os.PathLike,
        records: str,
        seeds: list[int],
        names: list[str],
    ) -> Runs:
        """Train and score what is not done yet.

        Returns:
          these and all earlier runs, except those that other processes are still at.
        """
        wanted = []
        for seed in seeds:
            for name in names:
                wanted.append((seed, name))
        errors: Runs = {}
        for i, (seed, name) in enumerate(wanted, 1):
            folder = os.path.join(workdir, f"seed{seed}")
            print(f"\n== {i}/{len(wanted)} {name}, seed {seed}", flush=True)
            with locked(os.path.join(folder, f"{name}.lock"), wait=False) as held:
                if not held:
                    print("another process is running it", flush=True)
                    continue
                try:
                    self._run(name, records, folder, seed)
                except InputError as error:
                    errors[seed, name] = str(error)
                    print(f"failed: {error}", file=sys.stderr, flush=True)

        runs: Runs = {}
        for path in pathlib.Path(workdir).glob("seed*/*.lock"):
            seed = int(path.parent.name.removeprefix("seed"))
            name = path.stem
            with locked(path, wait=False) as held:
                if not held:
                    continue
                stages = self.stages(name) if (seed, name) in wanted else [False]
                folder = str(path.parent)
                scored = True
                for final in stages:
                    if not self.is_scored(name, records, folder, seed, final):
                        scored = False
                        break
                state = "" if scored else "not finished"
                runs[seed, name] = errors.get((seed, name), state)
        return runs

    def _run(self, name, records, folder, seed):
        """Do the stages of a row that are not scored yet."""
        for final in self.stages(name):
            if self.is_scored(name, records, folder, seed, final):
                continue
            self.train_and_score(name, records, folder, seed, final)
            if self.delete_weights:
                for phase in experiments.phases(name):
                    run = experiments.run_folder(folder, phase, final)
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
