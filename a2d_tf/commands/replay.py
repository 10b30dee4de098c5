"""Replay the step that stopped a run because a loss was not finite.

  a2d replay --workdir=RUN

RUN/diverged/ holds the step's batch and the weights before it. Prints the losses of
each clip by itself, and which of its inputs are not finite.
"""

from __future__ import annotations

import math
import os

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config

FLAGS = command_line.Register()
_WORKDIR = FLAGS.define_string("workdir", None, "Run folder of a2d train.")
_DEVICE = Config.define_device(FLAGS)
Config.define_flags(FLAGS, ["compute"])


def main(argv: list[str]) -> None:
    command_line.require(argv, workdir=_WORKDIR.value)
    import tensorflow as tf

    from a2d_tf.runs import loading, scores
    from a2d_tf.training import divergence, phases
    from a2d_tf.training.train_step import make_probe

    workdir = os.path.normpath(_WORKDIR.value)
    batch, step = divergence.load(workdir)
    devices.prepare(_DEVICE.value)
    given = {
        "score_threshold": scores.DEFAULT_THRESHOLD,
        **Config.given(FLAGS, "compute"),
    }
    run = loading.load(workdir, given, "diverged")
    training = run.config.training
    phases.set_phase(run.network, training.train_phase, training.backbone_rate > 0)
    clips = divergence.probe_clips(batch, step, make_probe(run.network, training))
    print(
        f"{run.checkpoint}, step {step + 1}, precision {run.config.compute.precision}"
    )
    for i, (name, values) in enumerate(clips.items()):
        terms = (
            f"{k} {'' if math.isfinite(x) else '*'}{x:.4g}" for k, x in values.items()
        )
        print(f"{name}: {', '.join(terms)}")
        for field, x in divergence.row(batch, i).items():
            if x.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(x))):
                print(f"  its {field} has non-finite values; fix its record")
    if all(map(divergence.is_finite, clips.values())):
        print(
            "each clip alone is finite; a smaller --learning_rate or --clip_norm may"
            " help"
        )


run = command_line.command(main, FLAGS)
