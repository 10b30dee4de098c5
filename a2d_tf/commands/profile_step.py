"""Profile a training step.

  python tools/profile_step.py --flagfile=configs/mini.flags --records=records --output=profile

Times some steps of training, then traces as many with TensorFlow's profiler. Prints tables of the
time per part of the network and per type of operation, and writes them to `profile.json` in
--output, beside the trace (`tensorboard --logdir=profile` with tensorboard-plugin-profile). Takes
the flags of a2d_tf.train, but computes on one device. Only the host is traced: on a GPU the tables
show the time of launching kernels.
"""

from __future__ import annotations

import os
import statistics
import time

from absl import flags

from a2d_tf.core import command_line
from a2d_tf.core.config import Config
from a2d_tf.core.errors import InputError
from a2d_tf.core.files import write_json

_RECORDS = flags.DEFINE_string("records", None, "Folder written by tools/build_records.py.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of profile.json and the trace to write.")
_TRACED = flags.DEFINE_integer("traced_steps", 5, "Number of steps to time, and to trace.", 1)
_DEVICE = Config.define_device()
Config.define_flags()

_WARM_UP = 2  # the first steps trace and compile


def profile(config: Config, records: str, output: str, steps: int) -> dict:
    """Time and trace training steps of a new network.

    Args:
      config: the settings.
      records: folder of records.
      output: folder of the trace.
      steps: number of steps to time, and to trace.

    Returns:
      The report, ready for JSON.
    """
    import tensorflow as tf

    from a2d_tf.core import devices
    from a2d_tf.data import pipeline
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.training import run_start, trace

    manifest = Manifest.load(records)
    config = run_start.settle(config, Config.given("model"))
    devices.prepare(_DEVICE.value, config.learning.deterministic)
    step = _step_of_new_network(config, manifest.label_space)
    clips, waits, walls = [], [], []
    stream = iter(pipeline.training(manifest, config))
    for number in range(_WARM_UP + steps):
        began = time.perf_counter()
        clips.append(next(stream))
        loaded = time.perf_counter()
        step(clips[-1], number)
        waits.append(loaded - began)
        walls.append(time.perf_counter() - loaded)
    del stream  # no input pipeline in the trace
    tf.profiler.experimental.start(output)
    for number, batch in enumerate(clips[_WARM_UP:]):
        with tf.profiler.experimental.Trace("step", step_num=number, _r=1):
            step(batch, number)
    tf.profiler.experimental.stop()
    parts, types = trace.tables(trace.operations(trace.read(output)), steps)
    return {
        "steps": steps,
        "batch_size": config.learning.batch_size,
        "data_wait_ms": 1e3 * statistics.median(waits[_WARM_UP:]),
        "step_ms": 1e3 * statistics.median(walls[_WARM_UP:]),
        "parts": parts,
        "types": types,
    }


def _step_of_new_network(config, labels):
    """The function that takes a step, (batch, number) -> total loss."""
    import tensorflow as tf

    from a2d_tf.model.network import Network
    from a2d_tf.training.train_step import TrainState, make_train_step

    learning = config.learning
    tf.keras.utils.set_random_seed(learning.seed)
    network = Network(config.model, labels, config.compute, learning.recompute, learning.jit)
    network.set_phase(learning.train_phase)
    train_step = make_train_step(TrainState.create(network, learning), learning)
    return lambda batch, number: float(train_step(batch, tf.constant(number, tf.int64))["total"])


def main(argv: list[str]) -> None:
    """Run the command."""
    config = Config.from_flags()
    command_line.require(argv, records=_RECORDS.value, output=_OUTPUT.value)
    if config.learning.strategy != "none":
        raise InputError(
            f"--strategy={config.learning.strategy}: one device is profiled; give --strategy=none "
            "and the part of --batch_size that a device has"
        )
    output = os.path.normpath(_OUTPUT.value)
    from a2d_tf.training import trace

    report = profile(config, _RECORDS.value, output, _TRACED.value)
    path = os.path.join(output, "profile.json")
    write_json(path, report)
    print(trace.text(report))
    print(f"{path}: written, and the trace beside it")


run = command_line.command(main)


if __name__ == "__main__":
    run()
