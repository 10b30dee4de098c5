"""Run one row of the paper's tables: train its phases, one after the other, then score.

  python tools/run_experiment.py NAME --base=configs/a2d.flags --records=records --workdir=runs

NAME is `full`, `no_joint` or a flagfile of configs/ablations, such as `no_flow` or `zero_shot_cat`.
Each phase is a run folder in --workdir; what is done there already is not done again, and an
interrupted run goes on. Flags after `--` go to every training: -- --steps=20 --seed=1; those of
initial weights, --init_rgb and --init_flow, to the first phase alone, as far as it has the stream.
"""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags

from a2d_tf import errors
from a2d_tf.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[1]
ABLATIONS = ROOT / "configs" / "ablations"
# Rows with more than one phase: each starts from the weights of the one before.
PHASES = {
    "full": ("full",),
    "no_joint": ("no_joint_actor", "no_joint_action"),
    "no_mask": ("no_mask", "no_mask_refiner"),
}
SPLIT = "test"

flags.DEFINE_string("base", "configs/mini.flags", "Flagfile of the network: mini or a2d.")
flags.DEFINE_string("records", None, "Folder of build_records.py.")
flags.DEFINE_string("workdir", None, "Folder of the run folders, one a phase.")


def names():
    """The experiments there are, in alphabetical order."""
    parts = {phase for phases in PHASES.values() for phase in phases}
    return sorted({path.stem for path in ABLATIONS.glob("*.flags")} - parts | set(PHASES))


def phases(name):
    """The phases of an experiment, in order; each has a run folder of its name."""
    return PHASES.get(name, (name,))


def run(name, base, records, workdir, extra=()):
    """Train and score an experiment.

    Args:
      name: one of `names()`.
      base: flagfile of the network.
      records: folder of the records.
      workdir: folder of the run folders.
      extra: further flags of every training.

    Returns:
      Path of the scored run folder.

    Raises:
      InputError: no such experiment, or a phase that failed.
    """
    if name not in names():
        raise InputError(f"'{name}' is no experiment; there are {', '.join(names())}")
    folder = None
    for phase in phases(name):
        command = ["train", f"--flagfile={os.path.abspath(base)}"]
        if phase != "full":
            command.append(f"--flagfile={ABLATIONS / phase}.flags")
        own = extra
        if folder:
            command.append(f"--init_run={folder}")
            own = [flag for flag in extra if not flag.startswith(("--init_rgb", "--init_flow"))]
        elif phase != "full" and not _uses_flow(phase):
            own = [flag for flag in extra if not flag.startswith("--init_flow")]
        folder = pathlib.Path(workdir, phase).absolute()
        _call([*command, f"--records={os.path.abspath(records)}", f"--workdir={folder}", *own])
    metrics, finished = folder / "evaluation" / SPLIT / "metrics.json", folder / "finished.json"
    if not metrics.exists() or metrics.stat().st_mtime < finished.stat().st_mtime:
        _call(["evaluate", f"--records={os.path.abspath(records)}", f"--workdir={folder}",
               f"--split={SPLIT}"])  # fmt: skip
    return folder


def _uses_flow(phase):
    return "--use_flow=false" not in (ABLATIONS / f"{phase}.flags").read_text().split()


def _call(command):
    """Run a main of a2d_tf from the repository's root, where the flagfiles' own paths begin."""
    print("python -m a2d_tf." + " ".join(command), flush=True)
    with subprocess.Popen(
        [sys.executable, "-m", f"a2d_tf.{command[0]}", *command[1:]],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    ) as process:
        tail = b""
        while chunk := process.stderr.read1():
            sys.stderr.buffer.write(chunk)
            sys.stderr.flush()
            tail = (tail + chunk)[-4096:]
    if process.returncode:
        raise InputError(
            f"a2d_tf.{command[0]} ended with status {process.returncode} ({_reason(tail)}); mend "
            "that and run again, it goes on from there"
        )


def _reason(tail):
    """The complaint among the last lines of a main's stderr."""
    lines = tail.decode(errors="replace").replace("\r", "\n").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("Pass --help")]
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"


def main(argv):
    args = flags.FLAGS
    if len(argv) < 2:
        raise InputError(f"the first word must name an experiment: {', '.join(names())}")
    errors.require(argv[:1], base=args.base, records=args.records, workdir=args.workdir)
    stray = [word for word in argv[2:] if not word.startswith("--")]
    if stray:
        raise InputError(f"unexpected word '{stray[0]}'; flags of trainings follow `--`")
    folder = run(argv[1], args.base, args.records, args.workdir, argv[2:])
    print(f"{argv[1]}: {folder / 'evaluation' / SPLIT}")


if __name__ == "__main__":
    errors.run(main)
