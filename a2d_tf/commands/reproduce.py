"""Every run of the paper's Tables 1 to 3 and Fig. 4, one after the other, and the report of them.

  python tools/reproduce.py --flagfile=configs/reproduce_mini.flags --workdir=runs/mini
  python tools/reproduce.py --flagfile=configs/reproduce_a2d.flags --workdir=runs/a2d

Makes the records, trains and scores what is not done yet, then writes WORKDIR/report.md and
report.html. Interrupted and run again, it goes on from there; a run that fails is reported and the
others go on. With further --seeds the report tells how far seeds move the figures. Started several
times, on a GPU each, the processes share the runs, and the last to end writes the whole report.
"""

import contextlib
import fcntl
import importlib.metadata
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time

from absl import flags

from a2d_tf.core import errors, machine
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json
from a2d_tf.data.flow import METHODS
from a2d_tf.data.manifest import Manifest
from a2d_tf.evaluation.reports import experiments

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the records, the runs and the report.")
_BASE = flags.DEFINE_string("base", "configs/mini.flags", "Flagfile of the network.")
_RELEASE = flags.DEFINE_string(
    "release", None, "A2D's folder Release; by default a mini A2D is drawn in its place."
)
_VIDEOS = flags.DEFINE_integer("mini_videos", 400, "Clips of the mini A2D.", 6)
_FLOW = flags.DEFINE_enum("flow_method", "dis", METHODS, "Optical flow of the records.")
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes that make the records.", 1)
_TRAIN = flags.DEFINE_multi_string(
    "train",
    [],
    "A flag of every training, as --train=--steps=900, or of one row's, as "
    "--train=no_joint:--steps=450.",
)
_SEEDS = flags.DEFINE_list("seeds", "0", "Seeds of the trainings, one after the other.")
_DELETE = flags.DEFINE_bool(
    "delete_weights", False, "Delete a row's checkpoints once it is scored: the report needs none."
)
_RUNS = flags.DEFINE_list("runs", None, "Only these runs; by default all.")
_DEVICE = Config.define_device()

_PACKAGES = ("tensorflow", "tensorflow-addons", "tf-keras", "numpy", "opencv-python")


def order():
    """All experiments: the full model first, for others are compared with it; zero-shot last."""
    return sorted(experiments.names(), key=lambda name: (name != "full", "zero_shot" in name, name))


@contextlib.contextmanager
def _lock(path, wait):
    """Yields whether a file's lock is held by this process, and lets go of it afterwards.

    The system lets go of it when the process ends, however it ends.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            held = False
        yield held


class Status:
    """`WORKDIR/seed<S>/status/<run>.json`: what became of a run.

    {"folder", "seconds", "sittings", "error", "versions"}; `folder`, relative to WORKDIR, is null
    until the run is scored.
    """

    def __init__(self, workdir, seed, name):
        self._workdir = pathlib.Path(workdir)
        self._path = self._workdir / f"seed{seed}" / "status" / f"{name}.json"

    def read(self):
        """The file's contents; those of a run that was never begun, where there is none.

        Raises:
          InputError: damaged.
        """
        run = {"folder": None, "seconds": 0.0, "sittings": 0, "error": "", "versions": {}}
        try:
            run = {**run, **read_json(self._path)}
            folder = pathlib.PurePath(run["folder"] or "")
            if folder.is_absolute() or ".." in folder.parts:
                raise ValueError(f"folder {folder}")
        except FileNotFoundError:
            pass
        except (OSError, TypeError, ValueError) as error:
            raise InputError(
                f"{self._path}: damaged ({error}); delete it: what is trained is not lost"
            ) from error
        return run

    def done(self):
        folder = self.read()["folder"]
        return bool(folder) and experiments.scored(self._workdir / folder)

    @contextlib.contextmanager
    def sitting(self):
        """Times a sitting and keeps it, however it ends; yields the run's dict to be filled.

        None, and nothing is kept, where another process is at this run.
        """
        with _lock(self._path.with_suffix(".lock"), wait=False) as held:
            if not held:
                yield None
                return
            run = self.read()
            run.update(error="", sittings=run["sittings"] + 1, versions=_versions())
            began = time.monotonic()
            try:
                yield run
            finally:
                run["seconds"] += time.monotonic() - began
                write_json(self._path, run)


def _versions():
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {
        **found,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": machine.cores(),
    }


def make_records(workdir, base, release, videos, flow_method, workers):
    """Records of the size that the network wants, or those that are there already.

    Returns:
      their folder.
    """
    model = Config.read(base).model
    if release is None:
        mini = os.path.join(workdir, "mini_a2d")
        _call("make_mini_a2d", f"--output={mini}", f"--videos={videos}", f"--workers={workers}")
        release = os.path.join(mini, "Release")
    folder = os.path.join(workdir, "records")
    _call(
        "build_records",
        f"--release={release}",
        f"--output={folder}",
        f"--image_height={model.image_height}",
        f"--image_width={model.image_width}",
        f"--clip_frames={model.frames}",
        f"--flow_method={flow_method}",
        f"--workers={workers}",
    )
    return folder


def _call(command, *arguments):
    words = [sys.executable, "-m", f"a2d_tf.commands.{command}", *arguments]
    status = subprocess.run(words, env=experiments.environment()).returncode
    if status:
        raise InputError(f"{command} ended with status {status}; mend what it names, run again")


def run_all(workdir, base, records, seeds, names, train, delete_weights=False, device="auto"):
    """Train and score what is not done yet.

    Args:
      workdir, base, records: folders and a flagfile.
      seeds: ints; names: experiments; train: flags of every training, or `<name>:<flag>`.
      delete_weights: whether a row's checkpoints go once it is scored.
      device: --device of all.

    Returns:
      {(seed, name): the run's dict of `Status`}, of these and of those run before, but for those
      that other processes are still at.
    """
    wanted = {(seed, name): Status(workdir, seed, name) for seed in seeds for name in names}
    left = [key for key, status in wanted.items() if not status.done()]
    count, began, done, elsewhere = len(left), time.monotonic(), 0, set()
    for i, (seed, name) in enumerate(left):
        # Other processes may have done some of them since.
        undone = [key for key in left[i:] if not wanted[key].done()]
        if (seed, name) not in undone:
            continue
        todo = sum(len(experiments.phases(other)) for _, other in undone)
        elapsed = time.monotonic() - began
        rest = f", about {elapsed / done * todo / 60:.0f} min left" if done else ""
        print(
            f"\n== {i + 1}/{count} {name}, seed {seed}: {elapsed / 60:.0f} min so far{rest}",
            flush=True,
        )
        place = os.path.join(workdir, f"seed{seed}")
        with wanted[seed, name].sitting() as run:
            if run is None:
                print("another process is at it", flush=True)
                elsewhere.add((seed, name))
                continue
            try:
                extra = [*train_flags(train, name), f"--seed={seed}"]
                folder = experiments.run(name, base, records, place, extra, device)
                run["folder"] = os.path.relpath(folder, workdir)
            except InputError as error:
                run["error"] = str(error)
                print(f"failed: {error}", file=sys.stderr, flush=True)
        # Not before the status is on disk: what is not known to be done goes on from them.
        if delete_weights and wanted[seed, name].done():
            _delete_checkpoints(place, name)
        done += len(experiments.phases(name))
    before = pathlib.Path(workdir).glob("seed*/status/*.json")
    keys = {(int(path.parts[-3][4:]), path.stem) for path in before if path.parts[-3][4:].isdigit()}
    running = {key for key in elsewhere if not wanted[key].done()}
    return {key: Status(workdir, *key).read() for key in {*keys, *wanted} - running}


def _delete_checkpoints(place, name):
    """Delete those of every phase of an experiment."""
    for phase in experiments.phases(name):
        for kind in ("checkpoints", "best"):
            shutil.rmtree(os.path.join(place, phase, kind), ignore_errors=True)


def train_flags(train, name):
    """The flags of --train that are an experiment's: of every training, then its own.

    Raises:
      InputError: a flag of no experiment.
    """
    every, own = [], []
    for flag in train:
        row, colon, rest = flag.partition(":--")
        if flag.startswith("--"):
            every.append(flag)
        elif not colon or row not in experiments.names():
            raise InputError(
                f"--train={flag}: a flag, as --steps=900, or a run and its flag, as "
                f"no_joint:--steps=450, of the runs {', '.join(order())}"
            )
        elif row == name:
            own.append(f"--{rest}")
    return every + own


def _check_settings(path, settings):
    """InputError where there are runs beside the file, with other settings."""
    if os.path.exists(path) and any(pathlib.Path(path).parent.glob("seed*/*/flags.txt")):
        try:
            old = dict(read_json(path))
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged ({error}); delete it") from error
        for name, value in settings.items():
            if old.get(name) != value:
                raise InputError(
                    f"{path}: the runs there have --{name} {old.get(name)!r}, not {value!r}; give "
                    "that, or another --workdir"
                )


def origin(manifest, release, base, train):
    """The report's first lines: the data, and what figures on it do and do not show."""
    counts = {split: counts["records"] for split, counts in manifest.counts.items()}
    size = f"{counts['train']} training and {counts['test']} test clips"
    network = f"Network: {base}, with {' '.join(train) or 'its own flags'}."
    if release is None:
        videos = sum(counts["videos"] for counts in manifest.counts.values())
        return (
            f"Made on the mini A2D: {videos} drawn videos, {size}. {network} It shows that "
            "training, protocol and every variant work, and what each part of the network is worth "
            "where an action cannot be read off one frame. It shows nothing about A2D: no network "
            "here has seen a real video, and its figures are no match for the published ones, "
            "which stand beside them for their order and their differences."
        )
    return (
        f"Made on {release}: {size}, flow by {manifest.flow_method}. {network} Published rows are "
        "for A2D's own test split: figures can be compared if this is that split, in whole "
        f"(2365 clips), and it has {counts['test']}."
    )


def main(argv):
    errors.require(argv, workdir=_WORKDIR.value, base=_BASE.value)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a sitting is kept
    known, names = order(), _RUNS.value
    for name in names or ():
        if name not in known:
            raise InputError(f"--runs: '{name}' is no run; there are {', '.join(known)}")
    names = [name for name in known if not names or name in names]
    train_flags(_TRAIN.value, "")  # a mistake is told before the records are made
    try:
        seeds = [int(seed) for seed in _SEEDS.value]
    except ValueError as error:
        raise InputError(f"--seeds={','.join(_SEEDS.value)}: whole numbers, as 0,1,2") from error
    workdir = os.path.abspath(_WORKDIR.value)
    path, settings = (
        os.path.join(workdir, "settings.json"),
        {
            "base": _BASE.value,
            "release": _RELEASE.value,
            "train": _TRAIN.value,
            "mini_videos": None if _RELEASE.value else _VIDEOS.value,
            "flow_method": _FLOW.value,
        },
    )
    _check_settings(path, settings)
    with _lock(os.path.join(workdir, "records.lock"), wait=True):
        records = make_records(
            workdir, _BASE.value, _RELEASE.value, _VIDEOS.value, _FLOW.value, _WORKERS.value
        )
    write_json(path, settings)
    runs = run_all(
        workdir, _BASE.value, records, seeds, names, _TRAIN.value, _DELETE.value, _DEVICE.value
    )

    # Late: the runs need their memory.
    from a2d_tf.evaluation.reports import pages, reproduction

    print("\n== report", flush=True)
    manifest = Manifest.load(records)
    places = {name: i for i, name in enumerate(known)}
    results = [
        reproduction.Result(
            name,
            seed,
            os.path.join(workdir, run["folder"] or ""),
            run["seconds"],
            run["sittings"],
            run["error"] or ("" if run["folder"] else "not ended"),
            run["versions"],
        )
        for (seed, name), run in sorted(runs.items(), key=lambda x: (x[0][0], places[x[0][1]]))
    ]
    text = origin(manifest, _RELEASE.value, _BASE.value, _TRAIN.value)
    pages.write(
        workdir, "The paper's tables, reproduced", reproduction.build(results, manifest, text)
    )
    failed = [f"{r.name}, seed {r.seed}" for r in results if r.error]
    print(f"{workdir}/report.html")
    if failed:
        raise InputError(f"{len(failed)} runs are missing: {'; '.join(failed)}; run again")


def run():
    """Run the command with the words of the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
