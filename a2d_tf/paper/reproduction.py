"""Train and score the rows of the paper's tables, and report them; what is done is
kept.

Several processes may share the runs: each run is locked while one is at it.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import pathlib
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence

from a2d_tf.core import command_line, devices, processes
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
Folds = Mapping[str, tuple[str, str, Runs]]
"""{fold: (folder of its runs, records, runs)}."""


def order() -> list[str]:
    """Order the experiments: the full model first, for comparison, and zero-shot
    rows last.
    """
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
    try:
        for row in csv.DictReader(read_text(path).splitlines()):
            fold, video = ((row.get(name) or "").strip() for name in ("fold", "video"))
            if any(video in videos for videos in folds.values()):
                raise ValueError(f"{quoted(video)} is there twice")
            folds.setdefault(fold, []).append(video)
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"--folds={path}: {error}; expected a CSV, a row a video"
        ) from error
    if not folds or {*tested} - {*folds} or not all(map(is_file_name, folds)):
        raise InputError(
            f"--folds={path}: has the folds {join_names([*map(quoted, folds)])}; use a CSV"
            " with the columns video and fold, and --test_folds from its folds"
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
        """Select the further flags of an experiment: those of every training, then its
        own.

        Raises:
          InputError: a flag of no experiment.
        """
        common, specific = [], []
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
        """List what a row consists of: False for its runs, True for its final runs, if
        any.

        Fig. 4 compares the zero-shot rows with the full model before its final run.
        """
        return (
            [False, True]
            if self.final and experiments.ZERO_SHOT not in name
            else [False]
        )

    def check(self, names: Iterable[str], workdir: str, *extra: str) -> None:
        """Raise InputError where a training of some rows would refuse its flags, or
        others.
        """
        for name in names:
            for final in self.stages(name):
                for _, files, start in experiments.trainings(
                    name, self.base, workdir, final
                ):
                    _config([*files, *self.train_flags(name), *start, *extra])

    def make_records(
        self, workdir: str, source: Sequence[str], tests: Sequence[str] = ()
    ) -> None:
        """Make records of the network's size in `workdir/records`, if they are not
        there.

        Args:
          source: flags of `a2d records` for what they are made of.
          tests: videos of the test split; by default the source's own.
        """
        base = f"--flagfile={os.path.abspath(command_line.find(self.base))}"
        model = _config([base, *self.train_flags("full")]).model
        words = [*source, f"--output={workdir}/records"]
        words += [
            f"--image_height={model.image_height}",
            f"--image_width={model.image_width}",
        ]
        words.append(f"--clip_frames={model.frames}")
        if tests:
            named = (f'"{video}"' if "," in video else video for video in tests)
            words.append(f"--test_videos={','.join(named)}")
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
        for run, files, start in experiments.trainings(name, self.base, folder, final):
            common = [f"--records={os.path.abspath(records)}", f"--workdir={run}"]
            common.append(f"--device={self.device}")
            processes.call(["train", *common, *files, *further, *start])
        if not self.is_scored(name, records, folder, seed, final):
            processes.call(["evaluate", *common, f"--split={scores.TEST}"])

    def is_scored(
        self, name: str, records: str, folder: str, seed: int, final: bool
    ) -> bool:
        """Return whether a row's run of these settings is scored on the test split
        of records.
        """
        *_, (run, files, start) = experiments.trainings(name, self.base, folder, final)
        if not scores.are_current(
            run, scores.folder_of(run), Manifest.load(records).source
        ):
            return False
        wanted = _config([*files, *self.train_flags(name), f"--seed={seed}", *start])
        return _own(wanted) == _own(Config.read(run / "flags.txt"))

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
        runs, errors = [(seed, name) for seed in seeds for name in names], {}
        for i, (seed, name) in enumerate(runs, 1):
            folder = os.path.join(workdir, f"seed{seed}")
            print(f"\n== {i}/{len(runs)} {name}, seed {seed}", flush=True)
            with locked(os.path.join(folder, f"{name}.lock"), wait=False) as held:
                if not held:
                    print("another process is running it", flush=True)
                    continue
                try:
                    self._run(name, records, folder, seed)
                except InputError as error:
                    errors[seed, name] = str(error)
                    print(f"failed: {error}", file=sys.stderr, flush=True)
        found = {}
        for path in pathlib.Path(workdir).glob("seed*/*.lock"):
            seed, name = int(path.parent.name[len("seed") :]), path.stem
            with locked(path, wait=False) as held:
                if held:
                    wanted = self.stages(name) if (seed, name) in runs else [False]
                    folder = str(path.parent)
                    scored = all(
                        self.is_scored(name, records, folder, seed, x) for x in wanted
                    )
                    found[seed, name] = errors.get(
                        (seed, name), "" if scored else "not finished"
                    )
        return found

    def _run(self, name, records, folder, seed):
        """Do the stages of a row that are not scored yet."""
        for final in self.stages(name):
            if not self.is_scored(name, records, folder, seed, final):
                self.train_and_score(name, records, folder, seed, final)
                for phase in experiments.phases(name) if self.delete_weights else ():
                    for kind in ("checkpoints", "best"):
                        place = experiments.run_folder(folder, phase, final)
                        shutil.rmtree(place / kind, ignore_errors=True)


def _config(words):
    return Config.parse([word for word in words if not word.startswith(_NO_SETTINGS)])


def _own(config):
    """The settings of a training, but for those that it completes."""
    starts = [name for name in vars(config.training) if name.startswith("init_")]
    return {
        **vars(config.training),
        **vars(config.model),
        **dict.fromkeys((*starts, *_COMPLETED)),
    }


def write_report(
    workdir: str, plan: Plan, folds: Folds, *, data: str, network: str, own: bool
) -> list[str]:
    """Write `report.md` and `report.html`; return the rows that are missing.

    Args:
      plan: of the runs.
      data, network: what the figures are of, in words.
      own: whether the data are a user's own, of which nothing is published.
    """
    # Imported here because the runs need the memory.
    from a2d_tf.evaluation.reports import blocks as report_blocks
    from a2d_tf.paper import report

    devices.hide_gpus()  # which the trainings of other processes use
    print("\n== report", flush=True)
    names, results = order(), []
    for fold, (place, records, runs) in folds.items():
        manifest = Manifest.load(records)
        for seed, name in sorted(runs, key=lambda key: (key[0], names.index(key[1]))):
            folder, phase = (
                os.path.join(place, f"seed{seed}"),
                experiments.phases(name)[-1],
            )
            run, final = (
                experiments.run_folder(folder, phase, last) for last in (False, True)
            )
            known = final if plan.is_scored(name, records, folder, seed, True) else None
            result = report.Result(name, seed, run, runs[seed, name], known, fold)
            results.append(result)
    train, test = (manifest.counts[split]["records"] for split in ("train", "test"))
    clips = f"{train} training and {test} test clips"
    if any(folds):
        clips = f"{train + test} clips, {len(folds)} folds in turn the test split"
    text = (
        f"Made on {data}: {clips}, flow by {manifest.flow_method}. Network: {network}."
    )
    if own:
        title = "Scores over folds and seeds"
        blocks = report.build_folds(results, manifest.label_space, text)
    else:
        title = "The paper's tables, reproduced"
        text += (
            " Published rows are for A2D's own test split of 2365 clips: compare"
            " figures of that split, and of others the order alone."
        )
        blocks = report.build(results, manifest, text)
    report_blocks.write(workdir, title, blocks)
    if own:
        print(read_text(os.path.join(workdir, "report.md")))
    print(f"{workdir}/report.html")
    return [result.where for result in results if result.error]
