"""Seconds that `python -m a2d_tf.train` takes to its first finished step, whole and by parts."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
_BEGAN = "A2D_TF_BEGAN"  # in the environment of the process: when it was started, by time.time


def measure(
    records: str | os.PathLike, config: str = "mini", flags: tuple[str, ...] = ()
) -> dict[str, float]:
    """Start a training in a process of its own, end it after its first step, and time that.

    Args:
      records: a folder of records that suits the configuration.
      config: of configs/<config>.flags; flags: further ones.

    Returns:
      {part: seconds}: `imports` (from the start of Python to what training imports), `network`
      (its construction), `records` (the input pipeline), `trace` (of the step), `other` (the rest,
      most of it the first execution) and `whole`.

    Raises:
      RuntimeError: the training failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--flagfile={ROOT}/configs/{config}.flags", f"--records={records}"]
        done = subprocess.run(
            [sys.executable, "-m", __name__, *words, f"--workdir={folder}/run", *flags],
            cwd=ROOT,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", _BEGAN: str(time.time())},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


class _Done(BaseException):
    """The first step is done."""


def _timed(parts: dict[str, float], name: str, function: Callable) -> Callable:
    """Add the seconds of a function's calls to a part."""

    @functools.wraps(function)
    def timed(*arguments, **options):
        began = time.time()
        made = function(*arguments, **options)
        parts[name] = parts.get(name, 0.0) + time.time() - began
        return made

    return timed


def _train() -> None:
    """Train as a2d_tf.train does, and print the parts as JSON once a step's values are there."""
    from a2d_tf import train
    from a2d_tf.core import command_line, machine

    began, parts = float(os.environ[_BEGAN]), {}

    @machine.without_collection()  # as training has its imports
    def main(argv):
        from a2d_tf.model import network
        from a2d_tf.training import batches, fit, train_step

        parts["imports"] = time.time() - began
        made = fit.make_train_steps

        def first_step(*arguments):
            steps = made(*arguments)

            def take(*call):
                float(steps(*call)[0]["total"][0])
                raise _Done

            return take

        fit.make_train_steps = first_step
        train_step._step = _timed(parts, "trace", train_step._step)
        batches.distributed = _timed(parts, "records", batches.distributed)
        network.Network.__init__ = _timed(parts, "network", network.Network.__init__)
        try:
            train.main(argv)
        except _Done:
            whole = time.time() - began
            print(json.dumps({**parts, "other": whole - sum(parts.values()), "whole": whole}))

    command_line.run(main)


if __name__ == "__main__":
    _train()
