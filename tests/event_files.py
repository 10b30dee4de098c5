"""What is in TensorBoard's event files."""

import tensorflow as tf

from tools.benchmarks import setups


def values(folder):
    """Yield (step, tag, tensor proto) of every value in the event files of a folder."""
    for _, tag, step, tensor in setups.points(folder):
        yield step, tag, tensor


def points(folder):
    """Return {(step, tag): value} of a run's writer.

    Values that a clock gives are left out; no point may be there twice.
    """
    found = {}
    for step, tag, tensor in values(folder):
        if not tag.endswith(("second", "_ms")):
            assert (step, tag) not in found, f"{tag} at step {step} is there twice"
            found[step, tag] = float(tf.make_ndarray(tensor))
    return found
