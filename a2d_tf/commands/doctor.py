"""Check this machine in five minutes, and estimate the hours of a training run.

  python tools/doctor.py --records=records --init_rgb=coco --init_flow=imagenet

Prints devices, memory and precision; the time and memory of a step; the clips per second of the
input pipeline; the hours of a whole run. Takes the flags of a2d_tf.train, by default those of
configs/a2d.flags. Give the weights to start from, since they decide how RoIs are cropped and so the
time of a step. It measures one GPU: for --strategy=mirrored give it one GPU's part of the batch.
"""

from __future__ import annotations

import platform

from absl import flags

from a2d_tf.core import command_line, devices
from a2d_tf.core.config import Config
from a2d_tf.data.manifest import Manifest

_RECORDS = flags.DEFINE_string("records", None, "Folder written by tools/build_records.py.")
_DEVICE = Config.define_device()
Config.define_flags()


def main(argv: list[str]) -> None:
    config = Config.from_flags()
    command_line.require(argv, records=_RECORDS.value)
    manifest = Manifest.load(_RECORDS.value)
    manifest.check_frames(config.model.frames)
    # Imported here because TensorFlow takes seconds to load; a mistyped flag is reported at once.
    import tensorflow as tf

    from a2d_tf.training import doctor, run_start

    config = run_start.resolve_config(config, Config.given("model"))
    gpus = devices.prepare(_DEVICE.value, config.learning.deterministic)
    devices.announce(gpus, config.compute.precision)
    versions = f"TensorFlow {tf.__version__}, Python {platform.python_version()}"
    cores, memory = devices.cores(), devices.memory()
    print(f"host: {cores} cores, {memory / 2**30:.0f} GB, {versions}", flush=True)
    steps = doctor.train(config, manifest)
    rate = doctor.feed(config, manifest)
    print("\n".join(doctor.report(config, steps, rate)))


run = command_line.command(main)
