"""Replay the step that stopped a run because a loss was not finite.

  python tools/replay_batch.py --workdir=RUN

RUN/diverged/ holds the step's batch and the weights before it. Prints the losses of each clip by
itself and, for the first clip that is not finite, the input or operation where that starts.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags, logging

from a2d_tf.core import command_line
from a2d_tf.core.config import Config

if TYPE_CHECKING:
    import tensorflow as tf

_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder of a2d_tf.train.")
_DEVICE = Config.define_device()
Config.define_flags(["compute"])


def line(values: dict[str, float]) -> str:
    """Format the values of a clip; those that are not finite have a star."""
    return ", ".join(f"{k} {'' if math.isfinite(x) else '*'}{x:.4g}" for k, x in values.items())


def first_failure(probe: Callable, clip: dict[str, tf.Tensor], step: tf.Tensor) -> str:
    """Name the first operation whose result is not finite; "" if there is none.

    Args:
      probe: of `train_step.make_probe`, not traced yet; clip: a batch of one; step: int64 scalar.
    """
    import tensorflow as tf

    logging.set_verbosity(logging.WARNING)  # the check logs that it is switched on and off
    tf.debugging.enable_check_numerics()
    try:
        probe(clip, step)
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r'node (\S+)/CheckNumerics|graph op "(\S+)"', error.message)
        return (found[1] or found[2]) if found else error.message
    finally:
        tf.debugging.disable_check_numerics()
    return ""


def main(argv: list[str]) -> None:
    """Run the command."""
    command_line.require(argv, workdir=_WORKDIR.value)
    import tensorflow as tf

    from a2d_tf.core import devices
    from a2d_tf.training import divergence, run_folder, scores
    from a2d_tf.training.train_step import make_probe

    workdir = os.path.normpath(_WORKDIR.value)
    batch, step = divergence.load(workdir)
    devices.prepare(_DEVICE.value)
    given = {"score_threshold": scores.DEFAULT_THRESHOLD, **Config.given("compute")}
    run = run_folder.load(workdir, given, "diverged")
    learning = run.config.learning
    run.network.set_phase(learning.train_phase, learning.freeze_backbones)
    clips = divergence.probe_clips(batch, step, make_probe(run.network, learning))
    print(f"{run.checkpoint}, step {step + 1}, precision {run.config.compute.precision}")
    for name, values in clips.items():
        print(f"{name}: {line(values)}")
    worst = next((n for n, v in enumerate(clips.values()) if not divergence.is_finite(v)), None)
    if worst is None:
        print("every clip alone is finite; a smaller --learning_rate or --clip_norm may do")
        return
    print(f"{list(clips)[worst]}:")
    clip = divergence.row(batch, worst)
    floats = {name: value for name, value in clip.items() if value.dtype.is_floating}
    broken = [name for name, x in floats.items() if not bool(tf.reduce_all(tf.math.is_finite(x)))]
    if broken:
        print(f"  its {', '.join(broken)} holds non-finite values; mend its record")
        return
    number = tf.constant(step, tf.int64)
    place = first_failure(make_probe(run.network, learning), clip, number)
    print(f"  first operation with a non-finite result: {place or 'none; run it again'}")


run = command_line.command(main)
