"""Look again at the step that stopped a run because a loss was no number.

  python tools/replay_batch.py --workdir=RUN

RUN/diverged/ holds the weights before the step and its batch. Prints what every clip gives alone;
then, of the first clip that gives no number, the inputs or the operation where that begins.
"""

import math
import os
import re

from absl import flags, logging

from a2d_tf.core import errors
from a2d_tf.core.config import Config

_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder of a2d_tf.train.")
Config.define_flags(["compute"])


def table(names, clips):
    """Lines of a table: a row a clip, a column a value; what is no number has a star."""
    columns = list(clips[0])
    width = max(map(len, names))
    lines = [" " * width + "".join(f"{column:>18}" for column in columns)]
    for name, values in zip(names, clips):
        cells = [f"{'' if math.isfinite(values[c]) else '*'}{values[c]:.4g}" for c in columns]
        lines.append(f"{name:{width}}" + "".join(f"{cell:>18}" for cell in cells))
    return lines


def first_failure(probe, clip, step):
    """Name of the first operation that gives no number, by TensorFlow's own check; "" if none does.

    Args:
      probe: of `train_step.make_probe`, not traced yet; clip: a batch of one; step: int64 scalar.
    """
    import tensorflow as tf

    logging.set_verbosity(logging.WARNING)  # the check tells that it is on and off
    tf.debugging.enable_check_numerics()
    try:
        probe(clip, step)
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r"node (\S+)/CheckNumerics", error.message)
        return (found or re.search(r'graph op "(\S+)"', error.message))[1]
    finally:
        tf.debugging.disable_check_numerics()
    return ""


def main(argv):
    errors.require(argv, workdir=_WORKDIR.value)
    import tensorflow as tf

    from a2d_tf.core import devices
    from a2d_tf.core.files import check_tree
    from a2d_tf.learning import divergence
    from a2d_tf.learning.runs import run_folder
    from a2d_tf.learning.train_step import make_probe

    workdir = os.path.normpath(_WORKDIR.value)
    check_tree(workdir)
    batch, step = divergence.load(workdir)
    devices.prepare()
    given = {"score_threshold": run_folder.DEFAULT_THRESHOLD, **Config.given_inference()}
    run = run_folder.load(workdir, given, "diverged")
    learning = run.config.learning
    run.network.set_phase(learning.train_phase)
    try:
        clips = divergence.probe_clips(batch, step, make_probe(run.network, learning))
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        # TensorFlow's cause comes after a trace, and before the names of its operations.
        lines = [line for line in str(error).splitlines() if not line.lstrip().startswith("[[")]
        reason = lines[-1].strip() if lines else type(error).__name__
        raise errors.InputError(
            f"{workdir}/diverged/{divergence.BATCH}: no batch of this network ({reason})"
        ) from error
    print(f"{run.checkpoint}, step {step + 1}, precision {run.config.compute.precision}")
    print("\n".join(table(divergence.names(batch), clips)))
    bad = [not all(map(math.isfinite, values.values())) for values in clips]
    if not any(bad):
        print("every clip alone is finite; a smaller --learning_rate or --clip_norm may do")
        return
    worst = bad.index(True)
    inputs = {k: v for k, v in batch.items() if v.dtype != tf.string}
    clip = divergence.row(inputs, worst)
    print(f"{divergence.names(batch)[worst]}:")
    floats = {name: value for name, value in clip.items() if value.dtype.is_floating}
    bad = [name for name, x in floats.items() if not bool(tf.reduce_all(tf.math.is_finite(x)))]
    if bad:
        print(f"  its {', '.join(bad)} holds what is no number; mend its record")
        return
    number = tf.constant(step, tf.int64)
    place = first_failure(make_probe(run.network, learning), clip, number)
    print(f"  first operation that gives no number: {place or 'none; run it again'}")


def run():
    """Run the command with the words of the command line."""
    errors.run(main)


if __name__ == "__main__":
    run()
