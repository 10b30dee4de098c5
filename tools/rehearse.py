"""Rehearse the A2D commands, from the archive to the report, without A2D and its weights.

  tools/rehearse.sh [--short] [WORKDIR]

Draws videos in A2D's layout, fills COCO's and ImageNet's layouts with random numbers,
and runs the commands that README.md documents, with flags that keep them brief. The network is the
paper's; its figures mean nothing. Prints wall time, CPU time, peak memory and disk of each command,
which are also in WORKDIR/rehearsal.json. Interrupted and run again, it goes on with the command
that was cut off. --short makes one row of a small network.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import read_json, write_json, write_text
from a2d_tf.model.backbones import PUBLISHED

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of everything that the rehearsal makes.")
_SHORT = flags.DEFINE_bool("short", False, "One row, one step, a small network, few videos.")

ROOT = pathlib.Path(__file__).resolve().parents[1]
_SMALL = (
    "--flagfile=configs/a2d.flags --image_height=64 --image_width=96 --backbone=resnet14 "
    "--width_multiplier=0.125 --norm=group_norm --flow_norm=same --fpn_channels=16 "
    "--rpn_channels=16 --head_units=32 --mask_channels=16 --mask_layers=1 --test_proposals=20 "
    "--train_proposals=50 --max_detections=5"
).split()
_WEIGHTS = "--init_rgb=coco --init_flow=imagenet"
# Two of the 38 videos are for validation.
_BRIEF = "--steps=2 --batch_size=1 --val_fraction=0.05"
_REPRODUCE = "python tools/reproduce.py --flagfile=configs/reproduce_a2d.flags --workdir=runs/a2d"
_FULL = f"""
python tools/build_records.py --release=Release --check --workers=2
python tools/build_records.py --release=Release --output=records --workers=2
python tools/inspect_records.py --records=records --json=records.json
python tools/get_weights.py coco imagenet
python tools/doctor.py --records=records {_WEIGHTS}
python -m a2d_tf.train --flagfile=configs/a2d.flags {_WEIGHTS} --records=records --workdir=runs/full {_BRIEF}
python -m a2d_tf.evaluate --workdir=runs/full --records=records --split=test
python tools/browse.py --run=runs/full --records=records
python -m a2d_tf.export --workdir=runs/full --output=exports/full
python -m a2d_tf.predict --saved_model=exports/full --video=Release/clips320H --output=out --every=5 --end=1
{_REPRODUCE} --nofinal --workers=2 --delete_weights
"""  # noqa: E501
_ONE_ROW = f"""
python tools/build_records.py --release=Release --check --workers=1
{_REPRODUCE} --nofinal --workers=1 --base=small.flags --runs=mask_rcnn_baseline --train=--init_rgb= --train=--init_flow=
"""  # noqa: E501


def plan(short: bool) -> list[str]:
    """Return the commands to run: those that make what a user has, then the documented ones."""
    videos = 4 if short else 48
    planned = [f"python tools/make_mini_a2d.py --output=. --videos={videos} --workers=2"]
    for name, published in () if short else PUBLISHED.items():
        if not published.package:
            source = f"--source={published.source}"
            planned += [
                f"python tools/make_random_weights.py {source} --output={published.file}",
                f"python tools/import_weights.py {source} --input={published.file} "
                f"--output=cache/weights/{name}.h5",
            ]
    planned += (_ONE_ROW if short else _FULL).strip().splitlines()
    brief = "--steps=1 --batch_size=1 --val_fraction=0 --pictures=1" if short else _BRIEF
    planned[-1] += "".join(f" --train={flag}" for flag in brief.split())
    return planned


def _disk(folder):
    """Bytes that a folder takes; files may come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def measure(command: str, workdir: pathlib.Path) -> tuple[dict, bool]:
    """Run a command in a folder.

    Returns:
      ({"seconds", "cpu_seconds", "memory": bytes of its largest process, "disk": the most bytes
      that the folder took, "status": exit status}, whether Ctrl-C or SIGTERM ended it).
    """
    words = [word.replace("tools/", f"{ROOT}/tools/", 1) for word in shlex.split(command)]
    places = {"PYTHONPATH": str(ROOT), "A2D_TF_CACHE": str(workdir / "cache")}
    began, disk, pid, interrupted = time.monotonic(), 0, 0, False
    process = subprocess.Popen(
        [sys.executable, *words[1:]], cwd=workdir, env={**os.environ, **places}
    )
    try:
        while not pid:
            time.sleep(0.5)
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
      workdir: the folder; planned: commands.
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
                "and give the same command again, which resumes"
            )
    return measured


def table(measured: dict[str, dict]) -> str:
    """Format what was measured, {command: what `measure` found}, as lines for a terminal."""
    every = list(measured.values())
    total = {name: sum(found[name] for found in every) for name in ("seconds", "cpu_seconds")}
    total.update({name: max(found[name] for found in every) for name in ("memory", "disk")})
    lines = [f"{'minutes':>8}{'CPU min':>9}{'memory':>9}{'disk':>9}  command"]
    for command, found in [*measured.items(), ("in all", total)]:
        lines.append(
            f"{found['seconds'] / 60:8.1f}{found['cpu_seconds'] / 60:9.1f}"
            f"{found['memory'] / 1e9:6.1f} GB{found['disk'] / 1e9:6.1f} GB  {command}"
        )
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    workdir = pathlib.Path(_WORKDIR.value).absolute()
    workdir.mkdir(parents=True, exist_ok=True)
    write_text(workdir / "small.flags", "\n".join(_SMALL) + "\n")
    path = workdir / "rehearsal.json"
    print(f"\n{table(rehearse(workdir, plan(_SHORT.value), path))}")
    print(f"kept in {path}; the report is {workdir}/runs/a2d/report.html")


if __name__ == "__main__":
    command_line.run(main)
