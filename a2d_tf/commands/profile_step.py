"""Where the time of a training step goes.

  python tools/profile_step.py --flagfile=configs/mini.flags --records=records --output=profile

Some steps are timed as training takes them, then as many run under TensorFlow's profiler. --output
gets `profile.json`, whose tables are printed, and the trace, which `tensorboard --logdir=profile`
shows where tensorboard-plugin-profile is installed. The flags are those of a2d_tf.train. Traced is
the processor: with a GPU the tables tell what launching its kernels took.
"""

import glob
import os
import statistics
import time

from absl import flags

from a2d_tf.core import errors
from a2d_tf.core.config import Config
from a2d_tf.core.files import write_json

_RECORDS = flags.DEFINE_string("records", None, "folder that tools/build_records.py made")
_OUTPUT = flags.DEFINE_string("output", None, "folder of profile.json and the trace")
_TRACED = flags.DEFINE_integer("traced_steps", 5, "steps that are timed, and steps in the trace", 1)
Config.define_flags()

_WARM_UP = 2  # the first steps trace and compile


def profile(config, records, output, steps):
    """Time and trace training steps of a new network.

    Args:
      config: a Config.
      records: folder of records.
      output: folder that the trace goes to.
      steps: how many.

    Returns:
      the report, ready for JSON.
    """
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    from a2d_tf.core import devices
    from a2d_tf.data.manifest import Manifest
    from a2d_tf.learning import batches
    from a2d_tf.learning.doctor import trace
    from a2d_tf.learning.runs import run_folder
    from a2d_tf.learning.train_step import TrainState, make_train_step
    from a2d_tf.model.network import Network

    manifest = Manifest.load(records)
    config = run_folder.settle(config, Config.given_model())
    devices.prepare(deterministic=config.learning.deterministic)
    tf.keras.utils.set_random_seed(config.learning.seed)
    network = Network(config.model, manifest.label_space, config.compute, config.learning.recompute)
    network.set_phase(config.learning.train_phase)
    state = TrainState.create(network, config.learning)
    train_step = make_train_step(state, config.learning)

    def step(batch, number):
        return float(train_step(batch, tf.constant(number, tf.int64))["total"])

    canvas, frames, kept, waits, walls = network.image_size, config.model.frames, [], [], []
    stream = iter(batches.training(manifest, canvas, frames, config.learning))
    for number in range(_WARM_UP + steps):
        began = time.perf_counter()
        kept.append(next(stream))
        there = time.perf_counter()
        step(kept[-1], number)
        waits.append(there - began)
        walls.append(time.perf_counter() - there)
    del stream  # the trace is of the network alone
    tf.profiler.experimental.start(output)
    for number, batch in enumerate(kept[_WARM_UP:]):
        with tf.profiler.experimental.Trace("step", step_num=number, _r=1):
            step(batch, number)
    tf.profiler.experimental.stop()
    space = xplane_pb2.XSpace()
    traces = glob.glob(os.path.join(output, "plugins", "profile", "*", "*.xplane.pb"))
    with open(max(traces, key=os.path.getmtime), "rb") as file:
        space.ParseFromString(file.read())
    parts, types = trace.tables(trace.operations(space), steps)
    return {
        "steps": steps,
        "batch_size": config.learning.batch_size,
        "data_wait_ms": 1e3 * statistics.median(waits[_WARM_UP:]),
        "step_ms": 1e3 * statistics.median(walls[_WARM_UP:]),
        "parts": parts,
        "types": types,
    }


def main(argv):
    config = Config.from_flags()
    errors.require(argv, records=_RECORDS.value, output=_OUTPUT.value)
    output = os.path.normpath(_OUTPUT.value)
    from a2d_tf.learning.doctor import trace

    report = profile(config, _RECORDS.value, output, _TRACED.value)
    path = os.path.join(output, "profile.json")
    write_json(path, report)
    print(trace.text(report))
    print(f"{path}: written, and the trace beside it")


def run():
    """Run the command with the words of the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
