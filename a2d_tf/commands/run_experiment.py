"""Run one row of the paper's tables: train its phases in turn, then score.

  python tools/run_experiment.py NAME --base=configs/a2d.flags --records=records --workdir=runs

NAME is `full`, `no_joint` or a flagfile of configs/ablations, such as `no_flow` or `zero_shot_cat`.
Each phase has a run folder in --workdir; run again, it continues where it stopped. Flags after `--`
go to every training: -- --steps=20 --seed=1. Pretrained weights (-- --init_rgb=coco
--init_flow=imagenet) initialise the streams of the first phase; each later phase starts from the
previous one.
"""

from __future__ import annotations

import signal

from absl import flags

from a2d_tf.commands import processes
from a2d_tf.core import command_line
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.training import experiments

flags.DEFINE_string("base", "configs/mini.flags", "Flagfile of the network: mini or a2d.")
flags.DEFINE_string("records", None, "Folder written by tools/build_records.py.")
flags.DEFINE_string("workdir", None, "Folder of the run folders, one per phase.")
Config.define_device()


def main(argv: list[str]) -> None:
    """Run the command."""
    args = flags.FLAGS
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a training then saves its step
    if len(argv) < 2:
        raise InputError(
            f"the first word must name an experiment: {', '.join(experiments.names())}"
        )
    command_line.require(argv[:1], base=args.base, records=args.records, workdir=args.workdir)
    extra = processes.flags_of_trainings(argv[2:])
    folder = processes.train_and_score(
        argv[1], args.base, args.records, args.workdir, extra=extra, device=args.device
    )
    print(f"{argv[1]}: {folder / 'evaluation' / experiments.SPLIT}")


run = command_line.command(main)
