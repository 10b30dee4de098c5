"""Train and score every row of the paper's tables, on A2D or across folds of videos; report it.

  python tools/reproduce.py --flagfile=configs/reproduce_mini.flags --workdir=runs/mini
  python tools/reproduce.py --flagfile=configs/reproduce_a2d.flags --workdir=runs/a2d
  python tools/reproduce.py --flagfile=configs/reproduce_jhmdb.flags --workdir=runs/jhmdb

Makes the records, trains and scores what is not done yet, then writes WORKDIR/report.md and
report.html. With --final, the rows of Tables 1 to 3 end with a run on all training videos, whose
figures the report then shows. Run again, it continues where it stopped; a run that fails is
reported and the others go on. With several --seeds the report shows how figures vary with the seed.
Several processes, say on a GPU each, share the runs; the last to finish writes the whole report.

With --folds, each fold of the videos is the test split in turn. In place of the paper's tables, the
report then has the mean of each score over folds and seeds, with its deviation.
"""

from __future__ import annotations

import csv
import json
import os
import pathlib
import shutil
import signal
import sys
from collections.abc import Iterable, Sequence

from absl import flags

from a2d_tf.commands import processes
from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError, listed, shown
from a2d_tf.core.files import file_digest, is_file_name, locked, read_text, write_text
from a2d_tf.data import mini
from a2d_tf.data.manifest import NAME, Manifest
from a2d_tf.training import experiments

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for the records, the runs and the report.")
_BASE = flags.DEFINE_string("base", "configs/mini.flags", "Flagfile of the network.")
_RELEASE = flags.DEFINE_string(
    "release", None, "A2D's folder Release; by default a mini A2D is drawn instead."
)
_ANNOTATIONS = flags.DEFINE_string(
    "annotations", None, "Annotations of your own videos, in place of --release."
)
_OWN_VIDEOS = flags.DEFINE_string("videos", None, "Folder of the videos of --annotations.")
_FOLDS = flags.DEFINE_string(
    "folds",
    None,
    "CSV file with the columns video and fold: each fold in turn is the test split, and all other "
    "videos, also those that it does not list, are for training.",
)
_TEST_FOLDS = flags.DEFINE_list("test_folds", None, "Folds to test; by default all.")
_RECORDS = flags.DEFINE_string(
    "records",
    None,
    "Folder of records that tools/build_records.py made, in place of those of --release, "
    "--mini_videos and --workers. Rows of actors that they lack are left out.",
)
_VIDEOS = flags.DEFINE_integer("mini_videos", 400, "Number of videos of the mini A2D.", 6)
_WORKERS = flags.DEFINE_integer("workers", 2, "Number of processes that make the records.", 1)
_TRAIN = flags.DEFINE_multi_string(
    "train",
    [],
    "Flag of every training, as --train=--steps=900, or of one row's, as "
    "--train=no_joint:--steps=450; may be repeated.",
)
_SEEDS = flags.DEFINE_list("seeds", "0", "Seeds of the trainings, in order.")
_FINAL = flags.DEFINE_bool(
    "final",
    False,
    "End each row, but for the zero-shot ones, with a run on all training videos, scored with the "
    "threshold that the run before has chosen on held-out ones.",
)
_DELETE = flags.DEFINE_bool(
    "delete_weights", False, "Delete a row's checkpoints once it is scored."
)
_RUNS = flags.DEFINE_list("runs", None, "Rows to run; by default all.")
_DEVICE = Config.define_device()

_OF_TRAIN = ("--pictures", "--device", "--debug", "--nodebug", "--verbosity")
"""Flags of a2d_tf.train that are no settings."""


def order() -> list[str]:
    """Order the experiments: the full model first, for comparison, and zero-shot rows last."""
    return sorted(experiments.names(), key=lambda name: (name != "full", "zero_shot" in name, name))


def read_folds(path: str) -> dict[str, list[str]]:
    """Read --folds: {fold: its videos}; InputError where --test_folds, or a column, is missing."""
    folds: dict[str, list[str]] = {}
    try:
        for row in csv.DictReader(read_text(path).splitlines()):
            folds.setdefault(row.get("fold") or "", []).append(row.get("video") or "")
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"--folds={path}: {error}; give a CSV") from error
    lacking = {*(_TEST_FOLDS.value or ())} - {*folds}
    if not folds or lacking or not all(map(is_file_name, folds)):
        raise InputError(
            f"--folds={path}: has the folds {listed([*map(shown, folds)])}; give a CSV with the "
            "columns video and fold, and --test_folds of its folds"
        )
    return folds


def make_records(workdir: str, drawn: str, tests: Sequence[str] = ()) -> None:
    """Make records of the network's size, if they are not there, in `workdir/records`.

    Args:
      drawn: folder of the mini A2D, if there is no other source.
      tests: videos of the test split; by default the source's own.
    """
    words = [f"--flagfile={os.path.abspath(command_line.find(_BASE.value))}", *train_flags("full")]
    model = _config(words).model
    if _ANNOTATIONS.value:
        words = [f"--annotations={_ANNOTATIONS.value}", f"--videos={_OWN_VIDEOS.value}"]
    else:
        release = _RELEASE.value or mini.make_release(drawn, _VIDEOS.value, 0, _WORKERS.value)
        words = [f"--release={release}"]
    words += [f"--output={workdir}/records", f"--workers={_WORKERS.value}"]
    words += [f"--image_height={model.image_height}", f"--image_width={model.image_width}"]
    words.append(f"--clip_frames={model.frames}")
    if tests:
        listed = (f'"{video}"' if "," in video else video for video in tests)
        words.append(f"--test_videos={','.join(listed)}")
    processes.call_main(["commands.build_records", *words])  # whose memory the runs need


def _config(words):
    """The settings of a training's flags."""
    return Config.parse([word for word in words if not word.startswith(_OF_TRAIN)])


def run_all(
    workdir: str | os.PathLike, records: str, seeds: list[int], names: list[str]
) -> dict[tuple[int, str], str]:
    """Train and score what is not done yet.

    Returns:
      {(seed, name): why it failed, or ""} of these and all earlier runs, except those that other
      processes are still at.
    """
    runs, errors = [(seed, name) for seed in seeds for name in names], {}
    for i, (seed, name) in enumerate(runs, 1):
        folder = os.path.join(workdir, f"seed{seed}")
        print(f"\n== {i}/{len(runs)} {name}, seed {seed}", flush=True)
        with locked(os.path.join(folder, f"{name}.lock"), wait=False) as held:
            if not held:
                print("another process is at it", flush=True)
                continue
            options = {"extra": [*train_flags(name), f"--seed={seed}"], "device": _DEVICE.value}
            for final in stages(name):
                if processes.is_scored(run_folder(workdir, seed, name, final), records):
                    continue
                try:
                    row = name, _BASE.value, records, folder
                    processes.train_and_score(*row, final=final, **options)
                except InputError as error:
                    errors[seed, name] = str(error)
                    print(f"failed: {error}", file=sys.stderr, flush=True)
                    break
                for phase in experiments.phases(name) if _DELETE.value else ():
                    for kind in ("checkpoints", "best"):
                        place = experiments.run_folder(folder, phase, final)
                        shutil.rmtree(place / kind, ignore_errors=True)
    found = {}
    for path in pathlib.Path(workdir).glob("seed*/*.lock"):
        seed, name = int(path.parent.name[len("seed") :]), path.stem
        with locked(path, wait=False) as held:
            if held:
                wanted = stages(name) if (seed, name) in runs else [False]
                folders = (run_folder(workdir, seed, name, final) for final in wanted)
                scored = all(processes.is_scored(folder, records) for folder in folders)
                found[seed, name] = errors.get((seed, name), "" if scored else "not ended")
    return found


def stages(name: str) -> list[bool]:
    """List what a row consists of: False for its runs, True for its final runs, where it has any.

    Fig. 4 compares the zero-shot rows with the full model before its final run.
    """
    return [False, True] if _FINAL.value and experiments.ZERO_SHOT not in name else [False]


def run_folder(
    workdir: str | os.PathLike, seed: int, name: str, final: bool = False
) -> pathlib.Path:
    """Return the run folder of which the scores are a row's."""
    phase = experiments.phases(name)[-1]
    return experiments.run_folder(os.path.join(workdir, f"seed{seed}"), phase, final)


def train_flags(name: str) -> list[str]:
    """Select the flags of --train for an experiment: those of every training, then its own.

    Raises:
      InputError: a flag of no experiment.
    """
    common, specific = [], []
    for flag in _TRAIN.value:
        row, colon, rest = flag.partition(":--")
        if flag.startswith("--"):
            common.append(flag)
        elif not colon or row not in experiments.names():
            raise InputError(
                f"--train={flag}: a flag, as --steps=900, or a run and its flag, as "
                f"no_joint:--steps=450, of the runs {', '.join(order())}"
            )
        elif row == name:
            specific.append(f"--{rest}")
    return common + specific


def check_flags(names: Iterable[str], workdir: str, *extra: str) -> None:
    """Raise InputError where a training of some runs would refuse its flags, or further ones."""
    for name in names:
        for final in stages(name):
            for _, files, start in experiments.trainings(name, _BASE.value, workdir, final):
                _config([*files, *train_flags(name), *start, *extra])


def _report(workdir, folds):
    """Write the report of {fold: (its folder, records, runs)}; returns its results."""
    # Imported here because the runs need the memory.
    from a2d_tf.evaluation.reports import pages, reproduction

    devices.hide_gpus()  # which the trainings of other processes use
    print("\n== report", flush=True)
    names, results = order(), []
    for fold, (place, records, runs) in folds.items():
        manifest = Manifest.load(records)
        for seed, name in sorted(runs, key=lambda key: (key[0], names.index(key[1]))):
            folders = [run_folder(place, seed, name, final) for final in (False, True)]
            final = folders[1] if processes.is_scored(folders[1], records) else None
            run = reproduction.Result(name, seed, folders[0], runs[seed, name], final, fold)
            results.append(run)
    source = _RECORDS.value or _ANNOTATIONS.value or _RELEASE.value
    train, test = (manifest.counts[split]["records"] for split in ("train", "test"))
    clips = f"{train} training and {test} test clips"
    if _FOLDS.value:
        clips = f"{train + test} clips, {len(folds)} folds in turn the test split"
    text = (
        f"Made on {source or 'the mini A2D, drawn videos'}: {clips}, flow by "
        f"{manifest.flow_method}. Network: {_BASE.value}, with "
        f"{' '.join(_TRAIN.value) or 'its own flags'}."
    )
    own = _FOLDS.value or _ANNOTATIONS.value  # nothing is published of these
    if own:
        title = "Scores over folds and seeds"
        blocks = reproduction.build_folds(results, manifest.label_space, text)
    else:
        title = "The paper's tables, reproduced"
        text += (
            " Published rows are for A2D's own test split of 2365 clips: compare figures of that "
            "split, and of others the order alone."
        )
        blocks = reproduction.build(results, manifest, text)
    pages.write(workdir, title, blocks)
    if own:
        print(read_text(os.path.join(workdir, "report.md")))
    print(f"{workdir}/report.html")
    return results


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value, base=_BASE.value, seeds=_SEEDS.value)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training then saves its step
    if _ANNOTATIONS.value:
        command_line.require([], videos=_OWN_VIDEOS.value)
    if _TEST_FOLDS.value:
        command_line.require([], folds=_FOLDS.value)
    if _RECORDS.value and _FOLDS.value:
        raise InputError("--records and --folds: records have one split; give --annotations")
    names, workdir = order(), os.path.abspath(_WORKDIR.value)
    for name in _RUNS.value or ():
        if name not in names:
            raise InputError(f"--runs: '{name}' is no run; there are {', '.join(names)}")
    given, zero_shot = None, {name for name in names if name.startswith(experiments.ZERO_SHOT)}
    # A report of own videos has no Fig. 4.
    lacking = zero_shot if _FOLDS.value or _ANNOTATIONS.value else set()
    if _RECORDS.value:
        given = Manifest.load(os.path.abspath(_RECORDS.value))
        given.check_frames(Config.read(command_line.find(_BASE.value)).model.frames)
        lacking = zero_shot - {experiments.ZERO_SHOT + name for name in given.label_space.actors}
    wanted = [name for name in names if name in (_RUNS.value or {*names} - lacking)]
    for seed in _SEEDS.value:
        check_flags(wanted, workdir, f"--seed={seed}")
    seeds = list(map(int, _SEEDS.value))
    folds = read_folds(_FOLDS.value) if _FOLDS.value else {"": []}
    settings = {
        "base": _BASE.value,
        "base_sha256": file_digest(command_line.find(_BASE.value)),
        "records": given and given.directory,
        "records_source": given and given.source,
        "release": _RELEASE.value,
        "annotations": _ANNOTATIONS.value,
        "train": _TRAIN.value,
        "mini_videos": None if _RELEASE.value or _ANNOTATIONS.value or given else _VIDEOS.value,
        "folds": folds,
    }
    text = json.dumps(settings, indent=1) + "\n"
    path = pathlib.Path(workdir, "settings.json")
    trained = path.exists() and any(path.parent.rglob("flags.txt"))
    if trained and path.read_text() != text:
        raise InputError(
            f"{path}: the trainings there have these settings; give the same, or another --workdir"
        )
    write_text(path, text)
    found, tested = {}, _TEST_FOLDS.value or folds
    places = {fold: os.path.join(workdir, fold and f"fold_{fold}") for fold in folds}
    # All before the first run, which would hide a mistake in a later fold for hours.
    for fold in tested if not given else ():
        with locked(os.path.join(places[fold], "records.lock")):
            make_records(places[fold], os.path.join(workdir, "mini_a2d"), folds[fold])
    for fold, place in places.items():
        records = given.directory if given else os.path.join(place, "records")
        asked = wanted if fold in tested else []  # what is there of others is reported, too
        if asked or os.path.exists(os.path.join(records, NAME)):
            found[fold] = place, records, run_all(place, records, seeds, asked)
    results = _report(workdir, found)
    failed = [r.where for r in results if r.error]
    if failed:
        raise InputError(f"{len(failed)} runs are missing: {'; '.join(failed)}; run again")


run = command_line.command(main)
