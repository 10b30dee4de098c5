"""Rehearse the README's A2D commands, from the archive to the report, without A2D and its weights.

  tools/rehearse.sh [--short] [WORKDIR]

Draws videos of A2D's sizes in its layout, fills COCO's and ImageNet's layouts with random numbers,
and runs the commands of README.md as they stand there, in a copy of this repository, followed by
flags that keep it brief. The network is the paper's; its figures mean
nothing. Prints wall time, CPU time, peak memory and disk of each command, which are also in
WORKDIR/rehearsal.json. Interrupted and run again, it goes on with the command that was cut off.
--short checks an archive and makes one row, of a small network.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json, write_text
from a2d_tf.pretrained.catalogue import PUBLISHED

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of everything that the rehearsal makes.")
_SHORT = flags.DEFINE_bool("short", False, "One row, one step, a small network, few videos.")

ROOT = pathlib.Path(__file__).resolve().parents[1]
# What the commands need of the repository, in whose folder the README starts them.
_COPIED = ("a2d_tf", "configs", "tools")
_VIDEO = "my.mp4"
_CACHE = "cache"  # of the weights that go by a name
_SMALL = (
    "--flagfile=configs/a2d.flags --image_height=64 --image_width=96 --backbone=resnet14 "
    "--width_multiplier=0.125 --norm=group_norm --fpn_channels=16 --rpn_channels=16 "
    "--head_units=32 --mask_channels=16 --mask_layers=1 --test_proposals=20 --train_proposals=50 "
    "--max_detections=5"
).split()
_SAMPLE_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Rule:
    """What becomes of the documented commands that begin with certain words.

    Attributes:
      start: these words.
      full: flags that follow the command; None leaves it out.
      short: the same in the short form.
    """

    start: str
    full: str
    short: str = None


# Two of the 38 videos are for validation.
_TRAIN = "--steps=2 --batch_size=1 --val_fraction=0.05 --keep_checkpoints=1"
_BRIEFER = "--steps=1 --batch_size=1 --val_fraction=0 --pictures=1"


def _each(train):
    """Flags of a training as flags of tools/reproduce.py."""
    return " ".join(f"--train={flag}" for flag in train.split())


RULES = (
    Rule("source tools/setup.sh", None),  # rehearse.sh has done it
    Rule("python tools/build_records.py --release=Release --check", "--workers=2", "--workers=1"),
    Rule("python tools/build_records.py", "--workers=2"),
    Rule("python tools/inspect_records.py", ""),
    Rule("python tools/get_weights.py", ""),  # they are in the cache
    Rule("python tools/doctor.py", ""),
    Rule("python -m a2d_tf.train --flagfile=configs/a2d.flags", _TRAIN),
    Rule("python -m a2d_tf.evaluate", ""),
    Rule("python tools/browse.py", ""),
    Rule("python -m a2d_tf.export", ""),
    Rule("python -m a2d_tf.predict", "--every=5"),
    Rule("tensorboard", "--inspect"),  # without that it serves until it is stopped
    Rule("python tools/run_experiment.py", _TRAIN),
    Rule("python tools/reproduce.py --flagfile=configs/reproduce_mini.flags", None),  # not of A2D
    Rule(
        "python tools/reproduce.py --flagfile=configs/reproduce_a2d.flags",
        # Flags of one row, which the flagfile has, go before those of all.
        f"--workers=2 --delete_weights {_each(_TRAIN)} --train=no_joint:--steps=2",
        f"--workers=1 --base=small.flags --runs=mask_rcnn_baseline {_each(_BRIEFER)} "
        "--train=--init_rgb= --train=--init_flow=",
    ),
)


def commands(text: str) -> list[str]:
    """The commands in the code blocks of a Markdown text, each as a string without comments."""
    found = []
    for block in re.findall(r"^ *```\n(.*?)^ *```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                found.append(shlex.join(words))
    return found


def documented(root: pathlib.Path = ROOT) -> list[str]:
    """The README's commands that lead from the archive to the report, in its order.

    Raises:
      InputError: it has no such section.
    """
    readme = (root / "README.md").read_text()
    section = re.search(r"^## A2D, from the archive.*?(?=^## )", readme, re.M | re.S)
    if not section:
        raise InputError(f"{root / 'README.md'}: no section 'A2D, from the archive to the metrics'")
    return commands(section.group())


def rule(command: str) -> Rule:
    """The first Rule for a command.

    Raises:
      InputError: there is none.
    """
    for candidate in RULES:
        if command.startswith(candidate.start):
            return candidate
    raise InputError(f"'{command}': no rule in tools/rehearse.py says how to rehearse it")


def plan(short: bool) -> list[str]:
    """The commands to run, in order: those that make what a user has, then the documented ones."""
    videos = 8 if short else 48
    planned = [f"python tools/make_mini_a2d.py --output=. --videos={videos} --native --workers=2"]
    for name, published in () if short else PUBLISHED.items():
        if published.package:
            continue  # the README's commands do not name it
        source = f"--source {published.source}"
        planned += [
            f"python tools/make_random_weights.py {source} --output {published.file}",
            f"python tools/import_weights.py {source} --input {published.file} "
            f"--output {_CACHE}/weights/{name}.h5",
        ]
    for command in documented():
        extra = rule(command).short if short else rule(command).full
        if extra is not None:
            planned.append(f"{command} {extra}".rstrip())
    return planned


def prepare(workdir: pathlib.Path, path: pathlib.Path) -> None:
    """Copy into WORKDIR the code, as it is now, and the flagfile of the small network.

    Args:
      workdir: the folder; code that is in it is deleted.
      path: file in it that marks a rehearsal's folder.

    Raises:
      InputError: the folder holds anything else.
    """
    real = workdir.resolve()
    if real == ROOT or real in ROOT.parents:
        raise InputError(
            f"--workdir={workdir}: holds this code, which would be deleted; name a new folder"
        )
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"--workdir={workdir}: a file; name a new folder")
    if not path.exists():
        if workdir.exists() and any(workdir.iterdir()):
            raise InputError(
                f"--workdir={workdir}: neither empty nor of a rehearsal, for it has no "
                f"{path.name}; name a new folder"
            )
        write_json(path, {})
    for name in _COPIED:
        shutil.rmtree(workdir / name, ignore_errors=True)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, workdir / name, ignore=ignore)
    write_text(workdir / "small.flags", "\n".join(_SMALL) + "\n")


def _provide_video(workdir):
    """A video of the user's own: the first clip of the test split."""
    with open(workdir / "Release" / "videoset.csv", encoding="utf-8") as file:
        vid = next(line.split(",")[0] for line in file if line.rstrip().endswith(",1"))
    shutil.copy(workdir / "Release" / "clips320H" / f"{vid}.mp4", workdir / _VIDEO)


def _disk(folder):
    """Bytes that a folder takes; files may come and go meanwhile."""
    total = 0
    for path in pathlib.Path(folder).rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def measure(command: str, workdir: pathlib.Path) -> tuple[dict, bool]:
    """Run a command in a folder.

    Returns:
      ({"seconds", "cpu_seconds", "memory": bytes of its largest process, "disk": the most bytes
      that the folder took, "status": exit status}, whether Ctrl-C or SIGTERM ended it).
    """
    words = shlex.split(command)
    if words[0] == "python":
        words[0] = sys.executable
    began, disk, pid, interrupted = time.monotonic(), 0, 0, False
    places = {"PYTHONPATH": str(workdir), "A2D_TF_CACHE": str(workdir / _CACHE)}
    process = subprocess.Popen(words, cwd=workdir, env={**os.environ, **places})
    try:
        while not pid:
            time.sleep(_SAMPLE_SECONDS)
            disk = max(disk, _disk(workdir))
            pid, ended, usage = os.wait4(process.pid, os.WNOHANG)
    except KeyboardInterrupt:
        interrupted = True
        os.kill(process.pid, signal.SIGTERM)  # process.terminate might take the usage away
        pid, ended, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(ended)
    # Linux counts kilobytes, macOS bytes; both take in the processes that the command started.
    unit = 1 if sys.platform == "darwin" else 1024
    found = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * unit,
        "disk": disk,
        # A training that is told to stop ends well, but not done.
        "status": process.returncode or (130 if interrupted else 0),
    }
    return found, interrupted


def rehearse(workdir: pathlib.Path, planned: list[str], path: pathlib.Path) -> dict[str, dict]:
    """Run what is not done yet, in order, and keep what was measured after each command.

    Args:
      workdir: the folder.
      planned: commands.
      path: JSON file {command: what `measure` found}; `seconds` of all sittings together.

    Returns:
      the file's contents.

    Raises:
      InputError: a command failed.
      KeyboardInterrupt: a command was interrupted.
    """
    measured = read_json(path) if path.exists() else {}
    for number, command in enumerate(planned, 1):
        before = measured.get(command, {})
        if before.get("status") == 0:
            continue
        print(f"\n== {number}/{len(planned)} {command}", flush=True)
        if not (workdir / _VIDEO).exists() and (workdir / "Release").exists():
            _provide_video(workdir)
        found, interrupted = measure(command, workdir)
        for name in ("seconds", "cpu_seconds"):
            found[name] += before.get(name, 0)
        measured[command] = found
        write_json(path, measured)
        if interrupted:
            raise KeyboardInterrupt
        if found["status"]:
            raise InputError(
                f"'{command}' ended with status {found['status']} in {workdir}; mend what it names "
                "and run again, it goes on from there"
            )
    return measured


def table(measured: dict[str, dict], rows: dict[str, float]) -> str:
    """What was measured, as lines for a terminal.

    Args:
      measured: {command: what `measure` found}.
      rows: {row of the paper's tables: seconds}, within tools/reproduce.py.
    """
    lines = [f"{'minutes':>8}{'CPU min':>9}{'memory':>9}{'disk':>9}  command"]
    for command, found in measured.items():
        lines.append(
            f"{found['seconds'] / 60:8.1f}{found['cpu_seconds'] / 60:9.1f}"
            f"{found['memory'] / 1e9:6.1f} GB{found['disk'] / 1e9:6.1f} GB  {command}"
        )
    lines += [f"{seconds / 60:8.1f}{'':27}  of it {row}" for row, seconds in rows.items()]
    every = measured.values()
    lines.append(
        f"{sum(found['seconds'] for found in every) / 60:8.1f}"
        f"{sum(found['cpu_seconds'] for found in every) / 60:9.1f}"
        f"{max(found['memory'] for found in every) / 1e9:6.1f} GB"
        f"{max(found['disk'] for found in every) / 1e9:6.1f} GB  in all"
    )
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    workdir = pathlib.Path(_WORKDIR.value).absolute()
    path = workdir / "rehearsal.json"
    prepare(workdir, path)
    measured = rehearse(workdir, plan(_SHORT.value), path)
    status = sorted(workdir.glob("runs/a2d/seed0/status/*.json"), key=os.path.getmtime)
    print(f"\n{table(measured, {file.stem: read_json(file)['seconds'] for file in status})}")
    print(f"kept in {path}; the report is {workdir}/runs/a2d/report.html")


if __name__ == "__main__":
    command_line.run(main)
