"""Train, score and report every row of the paper's tables, on A2D or across folds.

  a2d reproduce --flagfile=configs/reproduce_mini.flags --workdir=runs/mini
  a2d reproduce --flagfile=configs/reproduce_a2d.flags --workdir=runs/a2d
  a2d reproduce --flagfile=configs/reproduce_jhmdb.flags --workdir=runs/jhmdb

Makes the records, trains and scores what is not done yet, then writes WORKDIR/report.md
and report.html. With --final, the rows of Tables 1 to 3 end with a run on all training
videos, whose figures the report then shows. Run again, it continues where it stopped; a
run that fails is reported and the others go on. With several --seeds the report shows
how figures vary with the seed. Several processes, say on a GPU each, share the runs;
the last to finish writes the whole report.

With --folds, each fold of the videos is the test split in turn. In place of the paper's
tables, the report then has the mean of each score over folds and seeds, with its
deviation.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal

from a2d_tf.core.command import command_flags, command_line, flagfiles
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import file_digest, read_text, write_text
from a2d_tf.core.locks import locked
from a2d_tf.core.machine import devices
from a2d_tf.data.mini import mini_a2d
from a2d_tf.data.record_folder.manifest import NAME
from a2d_tf.paper import reproduction, table_rows
from a2d_tf.paper.folds import Fold, read_folds
from a2d_tf.paper.results import Result
from a2d_tf.runs import run_folder

FLAGS = command_line.Register()
_WORKDIR = FLAGS.define_string(
    "workdir", None, "Folder for the records, the runs and the report."
)
_BASE = FLAGS.define_string("base", "configs/mini.flags", "Flagfile of the network.")
_RELEASE = FLAGS.define_string(
    "release", None, "A2D's Release folder; by default a mini A2D is drawn."
)
_ANNOTATIONS = FLAGS.define_string(
    "annotations", None, "Own annotations, in place of --release."
)
_VIDEOS = FLAGS.define_string("videos", None, "Folder of the videos of --annotations.")
_FOLDS = FLAGS.define_string(
    "folds", None, "CSV of video and fold: each fold in turn is the test split."
)
_TEST_FOLDS = FLAGS.define_list("test_folds", None, "Folds to test; by default all.")
_MINI_VIDEOS = FLAGS.define_integer(
    "mini_videos", 400, "Number of videos of the mini A2D.", 6
)
_WORKERS = FLAGS.define_integer(
    "workers", 2, "Number of processes that build the records.", 1
)
_TRAIN = FLAGS.define_multi_string(
    "train",
    [],
    "Flag of all trainings, --steps=900, or of a row's, no_joint:--steps=450.",
)
_SEEDS = FLAGS.define_list("seeds", "0", "Training seeds, in order.")
_FINAL = FLAGS.define_bool(
    "final", False, "End each row but zero-shot ones with a run on all videos."
)
_DELETE = FLAGS.define_bool(
    "delete_weights", False, "Delete a row's checkpoints once it is scored."
)
_RUNS = FLAGS.define_list("runs", None, "Rows to run; by default all.")
_DEVICE = command_flags.define_device(FLAGS)


def _requested_rows() -> list[str]:
    """Return the rows that the flags ask for, in the order of their training.

    Raises:
      InputError: --runs names something else.
    """
    rows = table_rows.order()
    for name in _RUNS.value or ():
        if name not in rows:
            raise InputError(
                f"--runs: '{name}' is not a run; choose from {', '.join(rows)}"
            )
    if _RUNS.value:
        return [row for row in rows if row in _RUNS.value]
    if _FOLDS.value or _ANNOTATIONS.value:  # such a report has no Fig. 4
        return [row for row in rows if not table_rows.is_zero_shot(row)]
    return rows


def _parse_seeds() -> list[int]:
    """Return the numbers of --seeds; InputError if one is none."""
    seeds = []
    for text in _SEEDS.value:
        try:
            seeds.append(int(text))
        except ValueError as error:
            raise InputError(
                f"--seeds: '{text}' is not an integer; use such as --seeds=0,1,2"
            ) from error
    return seeds


def source_flags(workdir: str) -> list[str]:
    """Return the flags of `a2d records` for the source that the flags name.

    The mini A2D is drawn if it is missing.
    """
    words = [f"--workers={_WORKERS.value}"]
    if _ANNOTATIONS.value:
        words.append(f"--annotations={_ANNOTATIONS.value}")
        words.append(f"--videos={_VIDEOS.value}")
        return words
    release = _RELEASE.value
    if not release:
        folder = os.path.join(workdir, "mini_a2d")
        release = mini_a2d.make_release(folder, _MINI_VIDEOS.value, 0, _WORKERS.value)
    return [*words, f"--release={release}"]


def _keep_settings(path: pathlib.Path, folds: dict[str, list[str]]) -> None:
    """Write the settings of all trainings in a folder.

    Raises:
      InputError: earlier trainings there used other settings.
    """
    mini_videos = None
    if not (_RELEASE.value or _ANNOTATIONS.value):
        mini_videos = _MINI_VIDEOS.value
    settings = {
        "base": _BASE.value,
        "base_sha256": file_digest(flagfiles.find(_BASE.value)),
        "release": _RELEASE.value,
        "annotations": _ANNOTATIONS.value,
        "train": _TRAIN.value,
        "mini_videos": mini_videos,
        "folds": folds,
    }
    text = json.dumps(settings, indent=1) + "\n"
    is_trained = path.exists() and any(path.parent.rglob(run_folder.FLAGS))
    if is_trained and path.read_text() != text:
        raise InputError(
            f"{path}: earlier trainings used these settings; use the same, or another"
            " --workdir"
        )
    write_text(path, text)


def main(argv: list[str]) -> None:
    """Train and score what is not done, then write and print the report."""
    command_line.require(
        argv, workdir=_WORKDIR.value, base=_BASE.value, seeds=_SEEDS.value
    )
    # So that a training saves its step before it ends.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if _ANNOTATIONS.value:
        command_line.require([], videos=_VIDEOS.value)
    if _TEST_FOLDS.value:
        command_line.require([], folds=_FOLDS.value)
    workdir = os.path.abspath(_WORKDIR.value)
    rows = _requested_rows()
    seeds = _parse_seeds()
    plan = reproduction.Plan(
        _BASE.value,
        _TRAIN.value,
        final=_FINAL.value,
        delete_weights=_DELETE.value,
        device=_DEVICE.value,
    )
    for seed in seeds:
        plan.check(rows, Fold(workdir), seed)
    test_videos: dict[str, list[str]] = {"": []}  # by fold
    if _FOLDS.value:
        test_videos = read_folds(_FOLDS.value, _TEST_FOLDS.value or ())
    tested = _TEST_FOLDS.value or list(test_videos)
    _keep_settings(pathlib.Path(workdir, "settings.json"), test_videos)
    # All records before the first run: a mistake in a later fold shows at once, not
    # hours later.
    for name in tested:
        fold = Fold(workdir, name)
        with locked(os.path.join(fold.folder, "records.lock")):
            plan.make_records(fold, source_flags(workdir), test_videos[name])
    folds = []
    results = []
    for name in test_videos:
        fold = Fold(workdir, name)
        if name in tested:
            results += plan.run_all(fold, seeds, rows)
        elif os.path.exists(os.path.join(fold.records, NAME)):
            results += plan.run_all(fold, seeds, rows=[])  # earlier runs
        else:
            continue
        folds.append(fold)
    _report(workdir, results, folds)


def _report(workdir: str, results: list[Result], folds: list[Fold]) -> None:
    """Write the report of the runs that are done.

    Raises:
      InputError: runs are missing.
    """
    # Late: the runs need the memory.
    from a2d_tf.paper import report

    devices.hide_gpus()  # which the trainings of other processes use
    print("\n== report", flush=True)
    own_videos = bool(_FOLDS.value or _ANNOTATIONS.value)
    missing = report.write_report(
        workdir,
        results,
        folds,
        data=_ANNOTATIONS.value or _RELEASE.value or "the mini A2D, drawn videos",
        network=f"{_BASE.value}, with {' '.join(_TRAIN.value) or 'its own flags'}",
        own_videos=own_videos,
    )
    if own_videos:
        print(read_text(os.path.join(workdir, "report.md")))
    print(f"{workdir}/report.html")
    if missing:
        raise InputError(
            f"{len(missing)} runs are missing: {'; '.join(missing)}; run again"
        )


run = command_line.command(main, FLAGS)
